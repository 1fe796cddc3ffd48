"""All runs of this host, or those of a label, in one reply; each settled first."""

from __future__ import annotations

from dobby.agent import rows, store
from dobby.agent.index import Index
from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout


def run(call: Call) -> bytes:
    """`args`: `all` (else each job's live runs and its latest), `labels` (pairs of project, ""
    for any, and label; none: all jobs). Answers `runs`, `unreadable`, one sentence each, and
    `account`, the name that ssh let in: who a run's `user` is was only said by the caller."""
    labels = call.args.get("labels") or [("", "")]
    unreadable: list[str] = []
    found: list[bytes] = []
    known = None if call.args.get("all") else Index(call.home)
    for project, label in labels:
        for job in store.jobs(call.home, project, label):
            found += _rows(job, known, unreadable)
    if known:
        known.save()
    rest = json.dumps({"unreadable": unreadable, "account": _account()}).encode()
    return b'{"runs":[' + b",".join(found) + b"]," + rest[1:]


def _rows(job: layout.Job, known: Optional[Index], unreadable: list[str]) -> list[bytes]:
    """As JSON. `known`: of live runs and the latest alone."""
    row = known.get(job) if known else None
    if row is not None:
        return [row]
    before = len(unreadable)
    runs = rows.of_job(job, unreadable)
    found = [json.dumps(rows.row(s)).encode() for s in (_current(runs) if known else runs)]
    if known and len(unreadable) == before and runs and all(s.final is not None for s in runs):
        known.put(job, runs[-1], found[-1])
    return found


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
