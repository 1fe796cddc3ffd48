"""How a run becomes final: the one function for whoever holds the run's lock."""

from __future__ import annotations

import os
import time

from dobby.agent import clock, durable, locks, members, processes, store
from dobby.core import events as ev
from dobby.core import layout
from dobby.core import status as st

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.store import Stored

UNACKNOWLEDGED_S = 600.0


def conclude(stored: Stored, cause: st.Record, duration_s: Optional[float] = None) -> st.Final:
    """Collect the outputs and create the final state. `cause` is how the command ended, or
    what kept it from starting. The caller holds the run's lock."""
    started = next((e for e in stored.events if e["kind"] == ev.STARTED), None)
    if started:
        _keep_outputs(stored)
    final = _final(stored, cause, started, duration_s)
    store.finish(stored.run, final)
    return final


def _final(
    stored: Stored, cause: st.Record, started: Optional[dict[str, Any]], duration_s: Optional[float]
) -> st.Final:
    times = {
        "finished_at": clock.now(),
        "started_at": started["at"] if started else None,
        "duration_s": duration_s,
        "log_offset": started["log_offset"] if started else None,
    }
    if isinstance(cause, (st.Rebooted, st.SupervisorKilled)):
        return st.Lost(cause=cause, **times)
    return st.from_exit(cause, store.read_stop(stored.run), **times)


def _keep_outputs(stored: Stored) -> None:
    """Copy what the output globs match, while the sandbox is still this run's."""
    job = stored.run.job
    if not stored.request.output or read_holder(job) != stored.run.run_id:
        return
    from dobby.agent import sandbox

    try:
        for glob in stored.request.output:
            if not sandbox.collect(job.sandbox, [glob], stored.run.outputs):
                store.append(stored.run, ev.NOTE, text=f"no file matched the output {glob}")
    except OSError as error:
        store.append(stored.run, ev.NOTE, text=f"outputs were not all kept: {error}")


def read_holder(job: layout.Job) -> str:
    """The id of the run that took the label's lock last, "" when none ever did."""
    return (durable.read(job.holder) or b"").decode().strip()


def settle(stored: Stored) -> Stored:
    """If nobody carries this run any more, make it final by what can be proved; the run as it
    is known afterwards. A run whose wrapper or processes live goes on, and stays live.

    A run of another machine is not judged from here."""
    if stored.final is not None or not _is_ours(stored):
        return stored
    fd = locks.take(stored.run.lock, wait=False)
    if fd is None:
        return stored
    try:
        fresh = store.load(stored.run)
        if fresh is None or fresh.final is not None:
            return fresh or stored
        return _settle_unheld(fresh)
    finally:
        locks.release(fd)


def _is_ours(stored: Stored) -> bool:
    carrier = stored.supervisor()
    return carrier is None or carrier.machine == clock.machine_id()


def _settle_unheld(stored: Stored) -> Stored:
    if not stored.events and _is_young(stored.run):
        return stored  # accepted, never acknowledged: its caller may yet ask again
    proved = proven_end(stored)
    if proved is None:
        return stored
    conclude(stored, *proved)
    return store.load(stored.run) or stored


def _is_young(run: layout.Run) -> bool:
    return time.time() - os.stat(run.request).st_mtime < UNACKNOWLEDGED_S


def proven_end(stored: Stored) -> Optional[tuple[st.Record, Optional[float]]]:
    """How a run that no supervisor carries has ended, and the command's seconds if they are
    known; None while it goes on without one. The caller holds the run's lock."""
    carrier, wrapper = stored.supervisor(), stored.wrapper()
    if carrier and carrier.boot != clock.boot_id():
        return _recorded(stored) or (st.Rebooted(), None)
    if wrapper and processes.is_alive(wrapper):
        return _recorded(stored)
    scope = members.scope_of(stored.run, wrapper)
    if wrapper is None:
        members.end(scope, 0.0)  # steps of a preparation that nobody waits for
    elif not _recorded(stored) and members.find(scope):
        return None
    return _recorded(stored) or (st.SupervisorKilled(), None)


def _recorded(stored: Stored) -> Optional[tuple[st.Record, Optional[float]]]:
    """What the wrapper wrote about the command's end."""
    content = store.read_exit(stored.run)
    return (st.parse_cause(content["cause"]), content.get("duration_s")) if content else None
