"""A notice, made from what the run's directory and its job's other runs say."""

from __future__ import annotations

from dobby.agent import excerpts, hostgit, rows, spawn, store
from dobby.core import events as ev
from dobby.core import notices
from dobby.core import status as st
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.store import Stored
    from dobby.core.notices import Notice

MOST_COMMITS = 10_000  # that are counted
MOST_RUNS = 200  # that are looked through for one that passed


def make(stored: Stored, kind: str, stalled: Optional[dict[str, Any]]) -> Notice:
    """The notice of this kind. `stalled` is the line of notices.jsonl that says so, if there is one."""
    row = rows.row(stored)
    stall = stalled if kind == notices.STALLED and stalled else {}
    before = _last_success(stored)
    lines = excerpts.read(stored.run)
    if kind == notices.STALLED and stored.final is None:
        lines = excerpts.take(stored, None, int(row["log_offset"] or 0))
    elif kind == notices.STARTED:
        lines = lines.replace(tail=(), error_line="")
    return notices.make_notice(
        kind,
        row,
        str(stall.get("at") or _when(stored, kind)),
        stored.run.log,
        last_success=_shown(stored, before) if before else None,
        environment_changed=_has_other_environment(stored, before) if before else None,
        tail=lines.tail,
        error_line=lines.error_line,
        silent_s=stall.get("silent_s"),
    )


def _when(stored: Stored, kind: str) -> str:
    if kind == notices.STARTED or stored.final is None:
        return next((str(e["at"]) for e in stored.events if e["kind"] == ev.STARTED), stored.created_at)
    return stored.final.finished_at


def _last_success(stored: Stored) -> Optional[Stored]:
    """The run of the job that passed last before this one. Ids begin with the time, so the newest
    are read first; the order that counts is that of the sequence numbers."""
    best: Optional[Stored] = None
    for run_id in sorted(store.run_ids(stored.run.job), reverse=True)[:MOST_RUNS]:
        if run_id == stored.run.run_id:
            continue
        try:
            other = store.load(stored.run.job.run(run_id))
        except DobbyError:  # unreadable: `list` names it
            continue
        if other is None or other.seq > stored.seq or not isinstance(other.final, st.Succeeded):
            continue
        if best is None or other.seq > best.seq:
            best = other
        if other.seq == stored.seq - 1:
            break
    return best


def _shown(stored: Stored, before: Stored) -> dict[str, Any]:
    return {
        "run_id": before.run.run_id,
        "commit": before.request.commit,
        "commits_ago": _commits_between(stored, before.request.commit),
    }


def _commits_between(stored: Stored, old: str) -> Optional[int]:
    """How many commits this run's has that the old one lacks; None where they cannot be counted:
    the old one is gone, or is no ancestor."""
    new = stored.request.commit
    if new == old:
        return 0
    cache, env = stored.run.job.of_project.cache, hostgit.env_of(stored.run.home)
    git = ["git", f"--git-dir={cache}"]
    code, _, _ = spawn.capture([*git, "merge-base", "--is-ancestor", old, new], cwd="/", env=env)
    if code:
        return None
    count = [*git, "rev-list", "--count", f"--max-count={MOST_COMMITS}", f"{old}..{new}"]
    code, out, _ = spawn.capture(count, cwd="/", env=env)
    return int(out) if code == 0 and out.strip().isdigit() else None


def _has_other_environment(stored: Stored, before: Stored) -> Optional[bool]:
    """None where one of the runs does not say which environment it had."""
    mine, theirs = _environment(stored), _environment(before)
    return None if not mine or not theirs else mine != theirs


def _environment(stored: Stored) -> str:
    return next((str(e.get("environment", "")) for e in stored.events if e["kind"] == ev.STARTED), "")
