"""Stop means gone: said only once nothing of the run is left."""

from __future__ import annotations

import signal
import time

from dobby.agent import clock, conclude, durable, locks, members, processes, rows, store
from dobby.core import status as st
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.agent.store import Stored
    from dobby.core import layout

PATIENCE_S = 10.0  # beyond the grace: kills, outputs, the final state
_STEP_S = 0.01


def stop(run: layout.Run, by: str, grace_s: Optional[float] = None) -> Stored:
    """End everything of a run; the run as it is afterwards, final. A final run keeps its state,
    and loses the children it left behind.

    Raises DobbyError naming the processes that could not be killed."""
    stored = rows.look(run)
    if stored is None:
        raise DobbyError(f"run {run.run_id} is gone")
    if stored.final is None:
        ask = {"at": clock.now(), "by": by, "reason": "stop", "grace_s": grace_s}
        durable.create(run.stop, durable.dump_json(ask))
        stored = _until_final(stored, stored.request.grace_s if grace_s is None else grace_s)
    _end_leftovers(stored, grace_s)
    return stored


def clear(job: layout.Job, by: str) -> None:
    """Stop all of a job's runs, the queued ones first, so that its label is free."""
    runs = [s for s in rows.of_job(job) if s.final is None]
    for stored in sorted(runs, key=lambda s: s.view().status.name != st.Queued.name):
        stop(stored.run, by)
    holder = conclude.read_holder(job)
    last = store.load(job.run(holder)) if holder else None
    if last is not None and locks.is_held(job.lock):
        _end_leftovers(last, None)


def _until_final(stored: Stored, grace_s: float) -> Stored:
    """Wake the supervisor and wait; once it is dead, do its work."""
    run, deadline, pause = stored.run, time.monotonic() + grace_s + PATIENCE_S, _STEP_S
    woken = None
    while time.monotonic() < deadline:
        fd = locks.take(run.lock, wait=False)
        if fd is not None:
            try:
                return _stop_unheld(run, grace_s)
            finally:
                locks.release(fd)
        fresh = store.load(run)
        if fresh is None or fresh.final is not None:
            return fresh or stored
        carrier = fresh.supervisor()
        if carrier is not None and carrier != woken and processes.send(carrier, signal.SIGTERM):
            woken = carrier
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    note = rows.row(store.load(run) or stored)["note"]
    raise DobbyError(
        f"run {run.run_id} is not gone yet: {note or 'its supervisor does not answer'}",
        "look at that process on the host; the label stays held until it ends",
    )


def _stop_unheld(run: layout.Run, grace_s: float) -> Stored:
    """The caller holds the run's lock: its supervisor is dead, or done."""
    stored = store.load(run)
    if stored is None:
        raise DobbyError(f"run {run.run_id} is gone")
    if stored.final is None:
        scope = members.scope_of(run, stored.wrapper())
        _check_gone(run, members.end(scope, grace_s))
        cause, duration_s = _recorded_end(stored)
        conclude.conclude(stored, cause, duration_s)
    return store.load(run) or stored


def _recorded_end(stored: Stored) -> tuple[st.Record, Optional[float]]:
    """What the wrapper writes once its last child has ended; it needs a moment for that."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        proved = conclude.proven_end(stored)
        if proved is not None:
            return proved
        time.sleep(_STEP_S)
    return st.SupervisorKilled(), None


def _end_leftovers(stored: Stored, grace_s: Optional[float]) -> None:
    scope = members.scope_of(stored.run, stored.wrapper())
    if members.find(scope):
        grace = stored.request.grace_s if grace_s is None else grace_s
        _check_gone(stored.run, members.end(scope, grace))


def _check_gone(run: layout.Run, survivors: list[processes.Process]) -> None:
    if survivors:
        names = ", ".join(f"{p.name} (pid {p.pid})" for p in survivors)
        raise DobbyError(f"run {run.run_id} could not be ended: {names} cannot be killed")
