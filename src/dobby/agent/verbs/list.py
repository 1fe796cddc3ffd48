"""All runs of this host, or those of a label, in one reply; each settled first."""

from __future__ import annotations

from dobby.agent import store
from dobby.agent.index import Index
from dobby.core import json
from dobby.core.view import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout


def run(call: Call) -> bytes:
    """`args`: `all` (else each job's live runs and its latest), `labels` (pairs of project, ""
    for any, and label; none: all jobs). Answers `fields`, the names of what a row holds, `runs`, the
    rows, each a list, `unreadable`, one sentence each, and `account`, the name that ssh let in: who a
    run's `user` is was only said by the caller."""
    labels = call.args.get("labels") or [("", "")]
    unreadable: list[str] = []
    found: list[bytes] = []
    known = None if call.args.get("all") else Index(call.home)
    for project, label in labels:
        for job in store.jobs(call.home, project, label):
            row = known.get(job) if known else None
            found += _rows(job, known, unreadable) if row is None else (row,)
    if known:
        known.close()
    fields = Row.fields  # type: ignore[attr-defined]
    rest = json.dumps({"fields": fields, "unreadable": unreadable, "account": _account()}).encode()
    return b'{"runs":[' + b",".join(found) + b"]," + rest[1:]


def _rows(job: layout.Job, known: Optional[Index], unreadable: list[str]) -> list[bytes]:
    """As JSON. `known`: of live runs and the latest alone."""
    from dobby.agent import rows  # where all is known, neither it nor what it needs is imported

    before = len(unreadable)
    runs = rows.of_job(job, unreadable)
    found = [_dump(rows.row(s)) for s in (_current(runs) if known else runs)]
    if known and len(unreadable) == before and runs and all(s.final is not None for s in runs):
        known.put(job, runs[-1], found[-1])
    return found


def _dump(row: dict[str, Any]) -> bytes:
    """Without its fields' names: those of a thousand rows are half of what would be sent."""
    return json.dumps(list(row.values()), separators=(",", ":")).encode()


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
