"""Run directories: accepted once, read by all, written by the holder of the run's lock."""

from __future__ import annotations

import json
import os

from dobby.agent import clock, durable, locks
from dobby.agent.processes import Identity
from dobby.core import events as ev
from dobby.core import layout
from dobby.core import request as rq
from dobby.core import status as st
from dobby.core.errors import DobbyError, UsageError
from dobby.core.record import Record
from dobby.core.view import RunView, make_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class Stored(Record):
    """All that a run's directory says: `request.json`, events, `exit.json`, `final.json`."""

    run: layout.Run
    request: rq.Request
    seq: int
    created_at: str
    events: list[dict[str, Any]]
    final: Optional[st.Final]

    def view(self) -> RunView:
        return make_view(
            self.request, self.seq, self.created_at, self.events, self.final, log_bytes(self.run)
        )

    def supervisor(self) -> Optional[Identity]:
        """Who carries, or carried, the run; None before its first event."""
        return self._last("supervisor")

    def wrapper(self) -> Optional[Identity]:
        return self._last("wrapper")

    def _last(self, field: str) -> Optional[Identity]:
        for event in reversed(self.events):
            if field in event:
                return Identity(**event[field])
        return None


def accept(run: layout.Run, request: rq.Request) -> Optional[int]:
    """Create the run's directory whole, with the next sequence number of its job; a
    descriptor that holds the run's lock, taken before anyone could see the run.

    None when this run was accepted before. Raises UsageError for another request of its id."""
    fd = locks.take(run.job.accepting, wait=True)
    assert fd is not None  # noqa: S101 - it waited
    try:
        if was_accepted(run, request):
            return None
        seq = int(os.pread(fd, 32, 0) or b"0") + 1
        os.pwrite(fd, b"%020d\n" % seq, 0)
        os.fsync(fd)
        return _create(run, {"seq": seq, "created_at": clock.now(), "request": rq.to_dict(request)})
    finally:
        locks.release(fd)


def was_accepted(run: layout.Run, request: rq.Request) -> bool:
    """Whether this run exists, with this request. Raises UsageError when with another."""
    data = durable.read(run.request)
    if data is None:
        return False
    before = rq.parse_request(json.loads(data)["request"])
    if before.digest() != request.digest():
        raise UsageError(
            f"run id {run.run_id} belongs to another request: {before.digest()[:12]} was asked "
            f"for first, now {request.digest()[:12]}",
            "leave --run-id out, or repeat the first request exactly",
        )
    return True


def _create(run: layout.Run, content: dict[str, Any]) -> int:
    temp = f"{run.job.runs}/.new-{run.run_id}"
    _remove_half_made(temp)
    os.mkdir(temp, 0o700)
    durable.write_new(f"{temp}/request.json", durable.dump_json(content))
    lock = locks.take(f"{temp}/lock", wait=True)
    assert lock is not None  # noqa: S101 - it waited
    os.mkdir(f"{temp}/outputs", 0o700)
    durable.sync_dir(temp)
    os.rename(temp, run.root)
    durable.sync_dir(run.job.runs)
    return lock


def _remove_half_made(temp: str) -> None:
    if os.path.isdir(temp):
        for name in os.listdir(temp):
            path = f"{temp}/{name}"
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        os.rmdir(temp)


def load(run: layout.Run) -> Optional[Stored]:
    """What the directory says, None where there is none.

    Raises DobbyError ("unreadable: path …") for a file that is empty, cut or newer."""
    data = durable.read(run.request)
    if data is None:
        return None
    path = run.request
    try:
        content = json.loads(data)
        request = rq.parse_request(content["request"])
        path = run.events
        events = ev.parse_events(durable.read(path) or b"")
        path = run.final
        final_data = durable.read(path)
        final = None if final_data is None else st.parse_final(json.loads(final_data))
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise DobbyError(f"unreadable: {path}: {error}") from None
    return Stored(
        run=run,
        request=request,
        seq=int(content["seq"]),
        created_at=content["created_at"],
        events=events,
        final=final,
    )


def append(run: layout.Run, kind: str, **fields: Any) -> str:
    """Append an event, durably; the caller holds the run's lock. The event's time."""
    at = clock.now()
    durable.append(run.events, ev.dump_event(kind, at, **fields))
    return at


def finish(run: layout.Run, final: st.Final) -> bool:
    """Create the final state; False when there is one already. The caller holds the lock."""
    return durable.create(run.final, durable.dump_json(st.dump_final(final)))


def read_exit(run: layout.Run) -> Optional[dict[str, Any]]:
    """The wrapper's record: {"at", "cause", "duration_s"}, None where there is none."""
    data = durable.read(run.exit)
    return json.loads(data) if data else None


def read_stop(run: layout.Run) -> Optional[dict[str, Any]]:
    """The stop that was asked for: {"at", "by", "reason", "grace_s"}."""
    data = durable.read(run.stop)
    return json.loads(data) if data else None


def log_bytes(run: layout.Run) -> int:
    try:
        return os.stat(run.log).st_size
    except FileNotFoundError:
        return 0


# --- finding runs ------------------------------------------------------------------------


def projects(home: str) -> list[str]:
    return _names(f"{home}/projects")


def labels(project: layout.Project) -> list[str]:
    return _names(project.jobs)


def run_ids(job: layout.Job) -> list[str]:
    return _names(job.runs)


def jobs(home: str, project: str = "", label: str = "") -> list[layout.Job]:
    """All jobs, or those of a project or label; labels that differ in case are the same."""
    found = []
    for name in projects(home):
        if project and name.lower() != project.lower():
            continue
        for other in labels(layout.Project(home=home, project=name)):
            if not label or other.lower() == label.lower():
                found.append(layout.Job(home=home, project=name, label=other))
    return found


def canonical(home: str, project: str, label: str) -> layout.Job:
    """The job, spelled as it was spelled first: labels and projects ignore case."""
    same = [n for n in projects(home) if n.lower() == project.lower()]
    known = layout.Project(home=home, project=same[0] if same else project)
    alike = [n for n in labels(known) if n.lower() == label.lower()]
    return layout.Job(home=home, project=known.project, label=alike[0] if alike else label)


def _names(path: str) -> list[str]:
    """Names that may be ours; half-made directories start with a dot."""
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
