"""Run directories: accepted once, read by all, written by the holder of the run's lock."""

from __future__ import annotations

import os
import sys

from dobby.agent import clock, durable, locks
from dobby.agent.processes import Identity
from dobby.core import events as ev
from dobby.core import json, layout
from dobby.core import request as rq
from dobby.core import status as st
from dobby.core.errors import DobbyError, UsageError
from dobby.core.names import is_name
from dobby.core.record import Record
from dobby.core.shapes import misfit
from dobby.core.view import RunView, make_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional, TypeVar

    T = TypeVar("T")

_NEW = ".new-"  # before a run's id: its directory, while it is being made


class Ended(Record):
    """How the command ended, by the wrapper's record. `stop_asked`: a stop had been asked for
    before."""

    cause: Record
    duration_s: Optional[float]
    stop_asked: bool
    usage: Optional[dict[str, Any]] = None


class Stored(Record):
    """What a run's directory says: `request.json`, events, `final.json`."""

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

    def cgroup(self) -> str:
        """The directory of the command's own cgroup, "" where it has none."""
        return next((str(e.get("cgroup", "")) for e in self.events if e["kind"] == ev.STARTED), "")

    def fences(self) -> list[str]:
        """The directories of all cgroups that the command entered."""
        return next((e.get("fences", []) for e in self.events if e["kind"] == ev.STARTED), [])

    def _last(self, field: str) -> Optional[Identity]:
        return _last_identity(self.events, field)


def accept(run: layout.Run, request: rq.Request) -> Optional[int]:
    """Create the run's directory whole, with the next sequence number of its job; a
    descriptor that holds the run's lock, taken before anyone could see the run.

    None when this run was accepted before. Raises UsageError for another request of its id."""
    fd = locks.take(run.job.accepting, wait=True)
    assert fd is not None  # noqa: S101 - it waited
    try:
        if was_accepted(run, request):
            return None
        seq = _last_seq(fd, run.job) + 1
        os.pwrite(fd, b"%020d\n" % seq, 0)
        os.fsync(fd)
        return _create(run, {"seq": seq, "created_at": clock.now(), "request": rq.to_dict(request)})
    finally:
        locks.release(fd)


def _last_seq(fd: int, job: layout.Job) -> int:
    """The sequence number given last: as noted, else (the note was damaged) as the runs say."""
    noted = os.pread(fd, 32, 0).strip()
    if noted.isdigit():
        return int(noted)
    known = [0]
    for run_id in run_ids(job):
        try:
            stored = load(job.run(run_id))
        except DobbyError:  # unreadable: `list` names it
            continue
        known.append(stored.seq if stored else 0)
    return max(known)


def was_accepted(run: layout.Run, request: rq.Request) -> bool:
    """Whether this run exists, with this request. Raises UsageError when with another."""
    content = _read(run.request, _accepted)
    if content is None:
        return False
    before = content[0]
    if before.digest() != request.digest():
        raise UsageError(
            f"run id {run.run_id} belongs to another request: {before.digest()[:12]} was asked "
            f"for first, now {request.digest()[:12]}",
            "leave --run-id out, or repeat the first request exactly",
        )
    return True


def _create(run: layout.Run, content: dict[str, Any]) -> int:
    temp = f"{run.job.runs}/{_NEW}{run.run_id}"
    _remove_half_made(temp)
    os.mkdir(temp, 0o700)
    os.close(
        os.open(f"{temp}/events.jsonl", os.O_CREAT | os.O_CLOEXEC, 0o600)
    )  # its name is safe with the run's
    for path in (run.exit, run.final, run.stop):  # to be written however full the disk is by then
        durable.reserve(f"{temp}/{os.path.basename(path)}")
    lock = locks.take(f"{temp}/lock", wait=True)
    assert lock is not None  # noqa: S101 - it waited
    os.mkdir(f"{temp}/outputs", 0o700)
    # Last: its fsync finds all the rest written, and leaves little to that of the directory.
    durable.write_new(f"{temp}/request.json", durable.dump_json(content))
    durable.sync_dir(temp)
    os.rename(temp, run.root)
    durable.sync_dir(run.job.runs)
    return lock


def sweep(job: layout.Job) -> None:
    """Remove what launches left that were killed before their run was whole. Where one is accepting just
    now nothing is done."""
    left = [name for name in durable.names(job.runs) if name.startswith(_NEW)]
    fd = locks.take(job.accepting, wait=False) if left else None
    if fd is None:
        return
    try:
        for name in left:
            _remove_half_made(f"{job.runs}/{name}")
    finally:
        locks.release(fd)


def _remove_half_made(temp: str) -> None:
    if os.path.isdir(temp):
        for name in os.listdir(temp):
            path = f"{temp}/{name}"
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        os.rmdir(temp)


# --- reading -----------------------------------------------------------------------------


def load(run: layout.Run) -> Optional[Stored]:
    """What the directory says, None where there is none.

    Raises DobbyError ("unreadable: path …") for a file that is empty, cut or newer."""
    content = _read(run.request, _accepted)
    if content is None:
        return None
    request, seq, created_at = content
    return Stored(
        run=run,
        request=request,
        seq=seq,
        created_at=created_at,
        events=_read(run.events, _events) or [],
        final=_read(run.final, lambda data: st.parse_final(json.loads(data))),
    )


def _accepted(data: bytes) -> tuple[rq.Request, int, str]:
    content = json.loads(data)
    return rq.parse_request(content["request"]), int(content["seq"]), str(content["created_at"])


def _events(data: bytes) -> list[dict[str, Any]]:
    events = ev.parse_events(data)
    st.fold(events)  # what a view makes of them must not fail later
    for field in ("supervisor", "wrapper"):
        _last_identity(events, field)
    return events


def _last_identity(events: list[dict[str, Any]], field: str) -> Optional[Identity]:
    for event in reversed(events):
        if field in event:
            found = Identity(**event[field])
            if wrong := misfit(found):
                raise ValueError(f"{field}: {wrong}")
            return found
    return None


def _read(path: str, parse: Callable[[bytes], T]) -> Optional[T]:
    """A state file's content, None where there is no such file. Raises DobbyError."""
    try:
        data = durable.read(path)
        return None if data is None else parse(data)
    except OSError as error:
        raise DobbyError(f"unreadable: {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        why = "it is empty" if data == b"" else str(error)
        raise DobbyError(f"unreadable: {path}: {why}") from None


def read_exit(run: layout.Run) -> Optional[Ended]:
    """The wrapper's record of the command's end, None where there is none. Raises DobbyError."""
    return _read(run.exit, _ended)


def _ended(data: bytes) -> Ended:
    content = json.loads(data)
    return Ended(
        cause=st.parse_cause(content["cause"]),
        duration_s=content.get("duration_s"),
        stop_asked=bool(content.get("stop_asked", True)),
        usage=content.get("usage"),
    )


def read_stop(run: layout.Run) -> Optional[dict[str, Any]]:
    """The stop that was asked for: {"by", "reason", "grace_s"}, and "timeout_s" where that is the
    reason. Damaged, it is a stop all the same: somebody asked."""
    try:
        return _read(run.stop, lambda data: {"by": "", "grace_s": None, **json.loads(data)})
    except DobbyError:
        return {"by": "", "grace_s": None, "reason": "stop"}


def log_bytes(run: layout.Run) -> int:
    """0 where there is no log: not yet, or removed."""
    try:
        return os.stat(run.log).st_size
    except FileNotFoundError:
        return 0


# --- writing, by the holder of the run's lock -----------------------------------------------


def append(run: layout.Run, kind: str, **fields: Any) -> str:
    """Append an event, durably; the caller holds the run's lock. The event's time."""
    at = clock.now()
    durable.append(run.events, ev.dump_event(kind, at, **fields))
    return at


def jot(run: layout.Run, kind: str, **fields: Any) -> None:
    """Append an event that only tells how far a run is: durable with the next one."""
    durable.append(run.events, ev.dump_event(kind, clock.now(), **fields), sync=False)


def finish(run: layout.Run, final: st.Final) -> bool:
    """Create the final state; False when there is one already. The caller holds the lock."""
    return durable.create(run.final, durable.dump_json(st.dump_final(final)))


def tell(run: layout.Run, kind: str, **fields: Any) -> None:
    """Append an event if that can be: on a full disk a run must still be ended, and end."""
    try:
        append(run, kind, **fields)
    except OSError as error:
        print(f"not recorded ({error}): {kind} {fields}", file=sys.stderr)


def note(run: layout.Run, text: str) -> None:
    """Anything worth telling, if that can be."""
    tell(run, ev.NOTE, text=text)


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
        return sorted(name for name in os.listdir(path) if is_name(name))
    except (FileNotFoundError, NotADirectoryError):
        return []
