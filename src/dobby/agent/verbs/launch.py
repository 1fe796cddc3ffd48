"""Accept a run and start its supervisor; acknowledged only when that lives, and the steward."""

from __future__ import annotations

import os
import time

from dobby.agent import (
    admission,
    arrival,
    callers,
    conclude,
    durable,
    hostgit,
    limits,
    locks,
    outbox,
    preflight,
    processes,
    rows,
    ssh_agent,
    start,
    stewards,
    store,
    turn,
)
from dobby.agent.charge import Charge
from dobby.core import notices, protocol
from dobby.core import request as rq
from dobby.core import status as st
from dobby.core.errors import Busy, DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request

ACCEPTING_S = 0.5
SETTLING_S = 15.0  # the longest usual grace, and then some
STARTING_S = 30.0
_STEP_S = 0.01


class _Twin(Exception):
    """Another session is just launching this very run."""


def run(call: Call) -> dict[str, Any]:
    """`args`: `request`, `values` (forwarded ones by name), `follow`; `upon`: what is attached is a pack of
    the request's commit upon that one. Answers `run`, a row, and
    `already`: whether this run id had been accepted before; for a new one `audience` too. With
    `follow` that is said as `ack`, and the log follows in the same session, as the verb `follow`
    sends it; with an ssh agent for the set-up the session stays until that is done."""
    try:
        answer = _launch(call)
    finally:
        if call.glance:
            call.glance.drop()
    stays = bool(call.args["request"].get("forward_agent"))  # until the command starts, and no longer
    if not (call.args.get("follow") or stays):
        return answer
    call.wire.reply_json(protocol.ACK, answer)
    from dobby.agent.verbs import follow

    row = answer["run"]
    which = {"project": row["project"], "label": row["label"], "run": row["run_id"]}
    quiet = not call.args.get("follow")
    how = {"follow": True, "offset": 0, "quiet": quiet, "until_started": stays}
    return follow.run(call.replace(args={**which, **how}))


def _launch(call: Call) -> dict[str, Any]:
    asked = rq.parse_request(call.args["request"])
    job = store.canonical(call.home, asked.project, asked.label)
    run = job.run(asked.run_id)
    request = asked.replace(project=job.project, label=job.label, login=callers.login())
    run_fd = None
    if store.was_accepted(run, request):
        run_fd = _take_unstarted(run)
        if run_fd is None:
            return _answer(run, already=True)
    agent_socket = ssh_agent.reachable() if request.forward_agent else ""
    admission.check_environment(request)
    limits.check(request)
    settings = admission.read_settings(call.home)
    if run_fd is None:
        preflight.check(call.home, request, settings, call.wire.say)
    admission.admit(job.of_project, request)
    if run_fd is None:
        _refuse_if_busy(run, request)
    arrival.ensure(run, request, hostgit.env_with(settings), call)
    durable.make_dirs(job.runs)
    already = run_fd is not None
    seen = call.glance.read() if call.glance else b""
    try:
        label_fd = _claim(run, request, already)
        if run_fd is None:
            call.wire.check_caller()
            run_fd = store.accept(run, request)
        if run_fd is None:
            _let_go(label_fd)
            raise _Twin
    except _Twin:
        _await_start(run)
        return _answer(run, already=True)
    outbox.add(run)
    values = call.args.get("values", {})
    _start(
        Charge(
            run=run,
            request=request,
            settings=settings,
            values=values,
            run_fd=run_fd,
            label_fd=label_fd,
            agent_socket=agent_socket,
            launcher=os.getpid(),
            umask=call.umask,
            seen=seen,
        )
    )
    return {**_answer(run, already), "audience": _audience(request, settings)}


def _audience(request: Request, settings: HostSettings) -> dict[str, Any]:
    """Who is told: for whoever launched it. `channels` counts those of the host, `told` names
    those that hear of this run, `unknown` are those of `notify` who cannot be reached."""
    channels = settings.channels.values()
    told = {one.channel.name for one in notices.recipients(request, channels)}
    unknown = notices.unknown_names(request.notify, channels)
    return {"channels": len(channels), "told": sorted(told), "unknown": unknown}


def _start(charge: Charge) -> None:
    """Start the supervisor; a run that cannot have one is final at once, and the error is raised."""
    try:
        start.start(charge)
    except DobbyError as error:
        stored = store.load(charge.run)
        if stored is not None:
            conclude.conclude(stored, st.Internal(message=error.message))
        _let_go(charge.label_fd)
        raise
    os.close(charge.run_fd)
    if charge.label_fd is not None:
        os.close(charge.label_fd)


def _let_go(label_fd: Optional[int]) -> None:
    if label_fd is not None:
        locks.release(label_fd)


def _take_unstarted(run: layout.Run) -> Optional[int]:
    """The lock of a run that was accepted by an agent which died before a supervisor lived; None
    where it has one, or is final."""
    if not _is_unstarted(run):
        return None
    fd = locks.take(run.lock, wait=False)
    if fd is None:  # that agent lives, and is at it
        _await_start(run)
        return None
    if _is_unstarted(run):
        return fd
    locks.release(fd)
    return None


def _is_unstarted(run: layout.Run) -> bool:
    stored = store.load(run)
    return stored is not None and not stored.events and stored.final is None


def _await_start(run: layout.Run) -> None:
    """Wait until another session has started this run. Raises DobbyError when it did not."""
    deadline = time.monotonic() + STARTING_S
    while _is_unstarted(run):
        if time.monotonic() > deadline or not locks.is_held(run.lock):
            raise DobbyError(
                f"run {run.run_id} was accepted from another session, which did not start it",
                "repeat the command",
            )
        time.sleep(_STEP_S)


def _answer(run: layout.Run, already: bool) -> dict[str, Any]:
    stewards.ensure(run.home)
    stored = rows.look(run)
    if stored is None:
        raise DobbyError(f"run {run.run_id} was removed while it was being started")
    return {"run": rows.row(stored), "already": already}


# --- the label -----------------------------------------------------------------------------


def _refuse_if_busy(run: layout.Run, request: Request) -> None:
    """Before commits travel: `_claim` decides, but need not be waited for in vain."""
    if request.if_running == "refuse" and locks.is_held(run.job.lock):
        holder = _holder(run.job)
        if holder is not None and holder.run != run and holder.final is None:
            raise _busy(holder)


def _claim(run: layout.Run, request: Request, already: bool) -> Optional[int]:
    """The label's lock; None where the run is to queue. `already`: the run was accepted before,
    and its lock is ours. Raises Busy, and _Twin where another session holds the label for it."""
    began = time.monotonic()
    while True:
        fd = locks.take(run.job.lock, wait=False)
        if fd is not None:
            if turn.is_free(run.job, but=run.run_id):
                return fd
            locks.release(fd)
        if request.if_running == "queue":
            return None
        holder = _holder(run.job)
        if holder is not None and holder.run == run and not already:
            raise _Twin
        if request.if_running == "replace":
            from dobby.agent import stopping

            stopping.clear(run.job, by=callers.named(request.user), but=run.run_id)
        else:
            # A free label, and a run whose supervisor is dead: the steward is just ending what is left.
            settling = fd is not None and holder is not None and not _is_carried(holder)
            late = time.monotonic() > began + (SETTLING_S if settling else ACCEPTING_S)
            if holder is not None and (late or (holder.final is None and not settling)):
                raise _busy(holder)
            if late:
                raise Busy(f"{run.label} is held, but by no run that is known", "try again")
        time.sleep(_STEP_S)


def _is_carried(holder: Stored) -> bool:
    """Whether its supervisor lives, as far as that can be told from here."""
    carrier = holder.supervisor()
    if holder.final is not None or carrier is None:
        return False
    return not conclude.is_of_here(holder) or processes.is_alive(carrier)


def _busy(holder: Stored) -> Busy:
    shown, label = rows.row(holder), holder.run.label
    since = shown["started_at"] or shown["created_at"]
    who = f"{shown['user'] or 'someone'} from {shown['client'] or 'an unnamed machine'}"
    what = f"{shown['status']} since {since}, started by {who}"
    if holder.final is not None:
        what = f"{shown['status']}, but {shown['note'] or 'something it started still runs'}"
    return Busy(
        f"{label} is busy: run {holder.run.run_id} is {what}",
        f"wait for it (dobby wait {label}), stop it (dobby stop {label}), or use another "
        "--label, or --if-running queue|replace",
        holder=shown,
    )


def _holder(job: layout.Job) -> Optional[Stored]:
    """The run that holds the label, or has a claim to it: the one that took it last, where that
    lives; else any that lives; else, having left a child behind, the one that took it last. Who
    has just taken the lock needs an instant to be accepted: then it is wrong, or None."""
    named = conclude.read_holder(job)
    runs = rows.of_job(job, [])
    live = [s for s in runs if s.final is None and s.events]
    last = [s for s in runs if s.run.run_id == named]
    if last and last[0].final is None:
        return last[0]
    if live:
        return rows.meant(live)
    return last[0] if last else None
