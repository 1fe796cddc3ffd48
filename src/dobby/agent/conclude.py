"""How a run becomes final: the one function for whoever holds the run's lock."""

from __future__ import annotations

import os
import time

from dobby.agent import (
    cgroups,
    clock,
    containers,
    durable,
    locks,
    members,
    processes,
    readable,
    store,
)
from dobby.core import events as ev
from dobby.core import layout
from dobby.core import status as st
from dobby.core.errors import DobbyError
from dobby.core.names import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Optional

    from dobby.agent.store import Stored
    from dobby.core.record import Record

UNACKNOWLEDGED_S = 600.0
FULL_BYTES = 65536  # a filesystem has no room for a log long before its very last block
MOST_COUNTED = 10_000


def conclude(
    stored: Stored,
    cause: Record,
    duration_s: Optional[float] = None,
    values: Optional[Mapping[str, str]] = None,
) -> st.Final:
    """Collect the outputs, keep the log's last lines and create the final state. `cause` is how the
    command ended, or what kept it from starting; `values` the forwarded ones, where they are still
    known. The caller holds the run's lock."""
    from dobby.agent import excerpts  # where a verb concludes nothing, it need not be there

    started = next((e for e in stored.events if e["kind"] == ev.STARTED), None)
    full = started is not None and _is_full(stored.run)
    if started:
        _keep_outputs(stored)
    excerpts.keep(stored, values, started["log_offset"] if started else 0)
    containers.remove(stored.run, force=False)
    final = _final(stored, cause, started, duration_s, full)
    store.finish(stored.run, final)
    durable.release(stored.run.stop)
    cgroups.remove(stored.fences())
    return final


def _final(
    stored: Stored,
    cause: Record,
    started: Optional[dict[str, Any]],
    duration_s: Optional[float],
    log_cut: bool,
) -> st.Final:
    times: dict[str, Any] = {
        "finished_at": clock.now(),
        "started_at": started["at"] if started else None,
        "duration_s": duration_s,
        "log_offset": started["log_offset"] if started else None,
        "log_cut": log_cut,
    }
    stop, ended = store.read_stop(stored.run), store.read_exit(stored.run)
    used = (ended.usage if ended else None) or {}
    times["usage"] = {**used, "disk_bytes": _kept_bytes(stored.run)}
    if isinstance(cause, st.Rebooted):
        return st.Lost(cause=cause, **times)
    if isinstance(cause, st.SupervisorKilled) and not (stop and _was_ended(stored)):
        return st.Lost(cause=cause, **times)
    if ended is not None and not ended.stop_asked:
        stop = None  # it came too late: the command had ended
    return st.from_exit(cause, stop, **times)


def _is_full(run: layout.Run) -> bool:
    """Whether the job's last lines may have found no room: it writes to the log itself, and nobody else
    hears of what fails. Root may use what is set aside for it (statvfs(3))."""
    found = os.statvfs(run.root)
    free = found.f_bfree if os.getuid() == 0 else found.f_bavail
    return found.f_blocks > 0 and free * found.f_frsize < FULL_BYTES


def _kept_bytes(run: layout.Run) -> Optional[int]:
    """What is kept of the run itself, its log and its outputs; None where these are so many files
    that counting would hold up its end."""
    total, seen = store.log_bytes(run), 0
    for folder, _, names in os.walk(run.outputs):
        seen += len(names)
        if seen > MOST_COUNTED:
            return None
        total += sum(os.lstat(f"{folder}/{name}").st_size for name in names)
    return total


def _was_ended(stored: Stored) -> bool:
    """Whether a stop found the run alive and ended it."""
    return any(event["kind"] == ev.STOPPING for event in stored.events)


def _keep_outputs(stored: Stored) -> None:
    """Copy what the output globs match, while the sandbox is still this run's."""
    job = stored.run.job
    if not stored.request.output or read_holder(job) != stored.run.run_id:
        return
    from dobby.agent import lodged, sandbox

    try:
        ours = lodged.paths(job)
        for glob in stored.request.output:
            if not sandbox.collect(job.sandbox, [glob], stored.run.outputs, ours):
                store.note(stored.run, f"no file matched the output {glob}")
        readable.open_tree(stored.run.outputs, stored.run)
    except OSError as error:
        store.note(stored.run, f"outputs were not all kept: {error}")


def read_holder(job: layout.Job) -> str:
    """The id of the run that took the label's lock last, "" when none ever did, or the file is
    damaged: the lock itself says whether anything lives."""
    named = (durable.read(job.holder) or b"").decode("ascii", "replace").strip()
    return named if is_name(named) else ""


def is_over(job: layout.Job, but: str = "") -> bool:
    """Whether the run that held the label last is final, settled if need be, or has the id `but`.
    The label's lock alone does not tell: where supervisor and wrapper were killed, a process that
    has closed all its descriptors may live on. The caller holds the label's lock."""
    holder = read_holder(job)
    if holder in ("", but) or os.path.exists(job.run(holder).final):
        return True
    try:
        stored = store.load(job.run(holder))
    except DobbyError:  # unreadable: nothing of it can be told, and `list` names it
        return True
    return stored is None or settle(stored).final is not None


def settle(stored: Stored) -> Stored:
    """If nobody carries this run any more, make it final by what can be proved; the run as it
    is known afterwards. A run whose wrapper or processes live goes on, and stays live.

    A run of another machine is not judged from here. The lock is taken only where there is
    something to write: who follows the run is woken by that."""
    if stored.final is not None or not is_of_here(stored) or locks.is_held(stored.run.lock):
        return stored
    if _goes_on(stored):
        return stored
    fd = locks.take(stored.run.lock, wait=False)
    if fd is None:
        return stored
    try:
        fresh = store.load(stored.run)
        if fresh is None or fresh.final is not None:
            return fresh or stored
        proved = proven_end(fresh)
        if proved is None:
            return fresh
        conclude(fresh, *proved)
        return store.load(fresh.run) or fresh
    finally:
        locks.release(fd)


def is_of_here(stored: Stored) -> bool:
    """Whether this machine may judge the run: it is carried here, or by nobody yet."""
    carrier = stored.supervisor()
    return carrier is None or carrier.machine == clock.machine_id()


def _goes_on(stored: Stored) -> bool:
    """Whether a run that no supervisor carries is to be left alone for now."""
    if not stored.events:
        return _is_young(stored.run)  # accepted, never acknowledged: its caller may yet ask again
    return stored.wrapper() is not None and proven_end(stored) is None


def _is_young(run: layout.Run) -> bool:
    return time.time() - os.stat(run.request).st_mtime < UNACKNOWLEDGED_S


def proven_end(stored: Stored) -> Optional[tuple[Record, Optional[float]]]:
    """How a run that no supervisor carries has ended, and the command's seconds if they are
    known; None while it goes on without one.

    Ends the steps of a preparation that nobody waits for: where no command was started, the
    caller holds the run's lock."""
    carrier, wrapper = stored.supervisor(), stored.wrapper()
    if carrier and carrier.boot != clock.boot_id():
        return _recorded(stored) or (st.Rebooted(), None)
    if wrapper and processes.is_alive(wrapper):
        return _recorded(stored)
    scope = members.scope_of(stored.run, wrapper, stored.cgroup())
    if wrapper is None:
        members.end(scope, 0.0)
    elif not _recorded(stored) and members.find(scope):
        return None
    return _recorded(stored) or (st.SupervisorKilled(), None)


def _recorded(stored: Stored) -> Optional[tuple[Record, Optional[float]]]:
    """What the wrapper wrote about the command's end."""
    ended = store.read_exit(stored.run)
    return (ended.cause, ended.duration_s) if ended else None
