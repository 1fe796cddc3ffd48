"""Take dobby off this host: all that it has put here, or nothing, and then why."""

from __future__ import annotations

import errno
import os
import time

from dobby.agent import (
    crontab,
    durable,
    locks,
    outbox,
    processes,
    sandbox,
    signal,
    spare,
    stewards,
    store,
    tools,
    turn,
)
from dobby.agent.sizes import size_of
from dobby.core import json, layout
from dobby.core.errors import Busy, DobbyError
from dobby.core.lazy import regex
from dobby.core.sizes import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dobby.agent.main import Call

LEAVING_S = 15.0  # a steward's last words may take some seconds
_STEP_S = 0.02
_MOST_NAMED = 5
_ITEMS = regex(r"(config\.toml(\.lock)?|watch|house|index|slots\..+|steward\..+\.(lock|err))\Z")
_AGENT = regex(r"[0-9a-f]{64}(\..+)?\Z")


def run(call: Call) -> dict[str, Any]:
    """`args`: `outputs` (remove these too). Answers `freed_bytes`, `untold` (runs of which somebody
    was still to be told), `unwatched` (lines were taken out of the crontab), and `left`: what is in
    dobby's directory and is none of dobby's. Raises Busy for runs that live, and DobbyError for
    outputs; then nothing was removed."""
    home = call.home
    _hold_labels(home)
    if not call.args.get("outputs"):
        _refuse_outputs(home)
    _end_steward(home)
    untold = len(outbox.runs(home))
    unwatched = crontab.remove(home)
    freed = 0
    for path in list(_ours(home)):
        freed += size_of(path)
        _remove(path)
    for folder in ("projects", "agent", "outbox", "tools", ""):
        _remove_empty(os.path.join(home, folder).rstrip("/"))
    left = sorted(os.listdir(home)) if os.path.isdir(home) else []
    return {"freed_bytes": freed, "untold": untold, "unwatched": unwatched, "left": left}


def _hold_labels(home: str) -> None:
    """The locks are ours until this process ends, so that no run begins meanwhile."""
    live = []
    for job in store.jobs(home):
        if locks.take(job.lock, wait=False) is None or not turn.is_free(job):
            live.append(f"{job.project}/{job.label}")
    if live:
        raise Busy(
            f"something of {_named(live)} still lives on this host", "stop it first (dobby stop LABEL)"
        )


def _refuse_outputs(home: str) -> None:
    kept = []
    for job in store.jobs(home):
        folders = [run.outputs for run in map(job.run, store.run_ids(job))]
        size = sum(size_of(f) for f in folders if os.path.isdir(f) and os.listdir(f))
        if size:
            kept.append(f"{job.project}/{job.label} ({size_text(size)})")
    if kept:
        raise DobbyError(
            f"this host has outputs of {_named(kept)}, so nothing was removed",
            "fetch them first (dobby fetch LABEL), or use --outputs to remove them too",
        )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _end_steward(home: str) -> None:
    """It goes when it is told to. One of another machine that shares this home is not ours to end."""
    own = stewards.lock_of(home)
    for name in os.listdir(home):
        path = f"{home}/{name}"
        if name.startswith("steward.") and name.endswith(".lock") and path != own and locks.is_held(path):
            raise Busy(f"{home} is in use by another machine too ({name})", "remove it from there first")
    deadline = time.monotonic() + LEAVING_S
    while locks.take(own, wait=False) is None:  # held from then on: no other begins
        _tell_to_go(own)
        if time.monotonic() > deadline:
            raise Busy(f"the steward of {home} does not end", "try again")
        time.sleep(_STEP_S)


def _tell_to_go(lock: str) -> None:
    try:
        steward = processes.Identity(**json.loads(durable.read(lock) or b""))
    except (ValueError, TypeError):  # it has just begun, and is about to say who it is
        return
    processes.send(steward, signal.SIGTERM)


def _ours(home: str) -> Iterator[str]:
    """What dobby makes below its directory, which may be one that holds other things as well."""
    for name in store.projects(home):
        project = layout.Project(home=home, project=name)
        if any(map(os.path.exists, (project.jobs, project.cache, project.identity))):
            spare.drop(project)
            yield project.root
    for folder in ("agent", "outbox"):
        for name in _names(f"{home}/{folder}"):
            if _AGENT.match(name) if folder == "agent" else layout.parse_marker(home, name):
                yield f"{home}/{folder}/{name}"
    for name in ("apprise", *tools.FROM_INDEX):
        yield layout.tool(home, name)
        yield f"{layout.tool(home, name)}.lock"
    yield from (f"{home}/{name}" for name in _names(home) if _ITEMS.match(name))


def _remove(path: str) -> None:
    """As often as it takes: whoever tidies up after a run that is over may still write there."""
    deadline = time.monotonic() + LEAVING_S
    while True:
        try:
            return sandbox.remove_tree(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or time.monotonic() > deadline:
                raise
        time.sleep(_STEP_S)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # not there, or not empty: what is left is named
        return
