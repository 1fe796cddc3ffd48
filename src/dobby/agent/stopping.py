"""Stop means gone: said only once nothing of the run is left."""

from __future__ import annotations

import time

from dobby.agent import clock, conclude, durable, locks, members, processes, rows, signal, store
from dobby.core import events as ev
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
    if not conclude.is_of_here(stored):
        where = rows.machine_of(stored)
        raise DobbyError(
            f"run {run.run_id} is on {where}, and can only be stopped there", f"use -H {where}"
        )
    grace_s = stored.request.grace_s if grace_s is None else grace_s
    if stored.final is None:
        ask = {"at": clock.now(), "by": by, "reason": "stop", "grace_s": grace_s}
        durable.create(run.stop, durable.dump_json(ask))
        stored = _until_final(stored, grace_s)
    _end_leftovers(stored, grace_s)
    return stored


def end_overdue(stored: Stored) -> Stored:
    """End a run that goes on without a supervisor, where its timeout is over."""
    limit_s, began = stored.request.timeout_s, stored.wrapper()
    if stored.final is not None or limit_s is None or began is None or locks.is_held(stored.run.lock):
        return stored
    age_s = processes.age_s(began)
    if age_s is None or age_s < limit_s:
        return stored
    fd = locks.take(stored.run.lock, wait=False)
    if fd is None:
        return stored
    try:
        ask = {"at": clock.now(), "by": "", "reason": "timeout", "grace_s": None, "timeout_s": limit_s}
        durable.create(stored.run.stop, durable.dump_json(ask))
        return _stop_unheld(stored.run, stored.request.grace_s)
    finally:
        locks.release(fd)


def clear(job: layout.Job, by: str, grace_s: Optional[float] = None, but: str = "") -> None:
    """Stop all of a job's runs (not the one with the id `but`), the queued ones first, and what
    its last run left behind, so that its label is free."""
    runs = [s for s in rows.of_job(job, []) if s.final is None and s.run.run_id != but]
    for stored in sorted(runs, key=lambda s: s.view().status.name != st.Queued.name):
        stop(stored.run, by, grace_s)
    holder = conclude.read_holder(job)
    if holder and holder != but and locks.is_held(job.lock):
        last = store.load(job.run(holder))
        if last is not None and last.final is not None:
            _end_leftovers(last, last.request.grace_s if grace_s is None else grace_s)


def _until_final(stored: Stored, grace_s: float) -> Stored:
    """Wake the supervisor and wait; once it is dead, do its work."""
    run, deadline, pause = stored.run, time.monotonic() + grace_s + PATIENCE_S, _STEP_S
    woken = None
    while time.monotonic() < deadline:
        fd = None if locks.is_held(run.lock) else locks.take(run.lock, wait=False)
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
            processes.send(carrier, signal.SIGCONT)
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
        scope = members.scope_of(run, stored.wrapper(), stored.cgroup())
        if members.find(scope):
            stop = store.read_stop(run) or {}
            store.tell(run, ev.STOPPING, by=stop.get("by", ""), reason=stop.get("reason", "stop"))
        _check_gone(run, members.end(scope, grace_s))
        ended = store.read_exit(run)
        cause = ended.cause if ended else st.SupervisorKilled()
        conclude.conclude(store.load(run) or stored, cause, ended.duration_s if ended else None)
    return store.load(run) or stored


def _end_leftovers(stored: Stored, grace_s: float) -> None:
    """What a final run left behind; its wrapper has ended too afterwards, and freed the label."""
    scope = members.scope_of(stored.run, stored.wrapper(), stored.cgroup())
    if members.find(scope):
        _check_gone(stored.run, members.end(scope, grace_s))


def _check_gone(run: layout.Run, survivors: list[processes.Process]) -> None:
    if survivors:
        raise DobbyError(
            f"run {run.run_id} could not be ended: {members.named(survivors)} cannot be killed",
            "look at that process on the host; the label stays held until it ends",
        )
