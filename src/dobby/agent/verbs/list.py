"""All runs of this host, or those of a label, in one reply; each settled first."""

from __future__ import annotations

from dobby.agent import rows, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call
    from dobby.agent.store import Stored


def run(call: Call) -> dict[str, Any]:
    """`args`: `all` (else each job's live runs and its latest), `labels` (pairs of project, ""
    for any, and label; none: all jobs). Answers `runs`, `unreadable`, one sentence each, and
    `account`, the name that ssh let in: who a run's `user` is was only said by the caller."""
    labels = call.args.get("labels") or [("", "")]
    unreadable: list[str] = []
    found: list[dict[str, Any]] = []
    for project, label in labels:
        for job in store.jobs(call.home, project, label):
            runs = rows.of_job(job, unreadable)
            found += [rows.row(s) for s in (runs if call.args.get("all") else _current(runs))]
    return {"runs": found, "unreadable": unreadable, "account": _account()}


def _account() -> str:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _current(runs: list[Stored]) -> list[Stored]:
    live = [s for s in runs if s.final is None]
    done = [s for s in runs if s.final is not None]
    return live or done[-1:]
