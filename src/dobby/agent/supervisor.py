"""Carries one run from the label's lock to its final state; needs nobody once it lives."""

from __future__ import annotations

import os
import select
import signal
import time
import traceback

from dobby.agent import clock, conclude, durable, environment, locks, members, processes
from dobby.agent import sandbox, store, turn, variables, wrapper
from dobby.agent.steps import StepFailed, Steps
from dobby.agent.wake import Stop, Wake
from dobby.core import events as ev
from dobby.core import status as st
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Optional

    from dobby.agent.members import Scope
    from dobby.core import layout
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request

WRAPPER_WATCH_S = 0.5


class Charge(Record):
    """What a supervisor is given. `run_fd` holds the run's lock, `label_fd` the label's (None:
    wait for it); `values` are the forwarded ones, held in memory alone."""

    run: layout.Run
    request: Request
    settings: HostSettings
    values: Mapping[str, str]
    run_fd: int
    label_fd: Optional[int]


class Outcome(Record):
    """How the command ended, or what kept it from starting. `shared`: what it left behind holds
    the label's lock too."""

    cause: st.Record
    duration_s: Optional[float] = None
    shared: bool = False


def carry(charge: Charge, ready: Callable[[], Any]) -> None:
    """The whole life of a run. `ready` is called once its first event is durable."""
    processes.name_self("dobby-run")
    run, wake, label_fd = charge.run, Wake(), charge.label_fd
    me = processes.identify(os.getpid()).to_dict()
    try:
        if label_fd is None:
            store.append(run, ev.QUEUED, supervisor=me, behind=conclude.read_holder(run.job))
            ready()
            label_fd = turn.wait(run)
        previous = _take_over(run)
        store.append(run, ev.PREPARING, supervisor=me)
        ready()
        outcome = _prepare_and_run(charge, wake, label_fd, previous)
    except Stop:
        members.end(members.scope_of(run, None), charge.request.grace_s)
        outcome = Outcome(cause=st.Signal(number=int(signal.SIGTERM), name="SIGTERM"))
    except Exception as error:
        traceback.print_exc()
        outcome = Outcome(cause=st.Internal(message=_in_words(error)))
    wake.interrupts = False
    if label_fd is not None:  # before the run is seen to be final: the next one may come at once
        os.close(label_fd) if outcome.shared else locks.release(label_fd)
    stored = store.load(run)
    if stored is not None:
        conclude.conclude(stored, outcome.cause, outcome.duration_s)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return f"dobby itself failed: {error!r}"


def _take_over(run: layout.Run) -> str:
    """Say whose the label is now; the id of the run that had it before."""
    previous = conclude.read_holder(run.job)
    durable.replace(run.job.holder, run.run_id.encode() + b"\n")
    return previous


def _prepare_and_run(charge: Charge, wake: Wake, label_fd: int, previous: str) -> Outcome:
    run = charge.run
    log_fd = os.open(run.log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    host = variables.of_host(charge.settings, os.environ)
    steps = Steps(
        variables.of_steps(host, run),
        log_fd,
        lambda name, took, note: store.append(run, ev.PHASE, name=name, duration_s=took, note=note),
    )
    try:
        command = _prepare(charge, steps, host, previous)
    except StepFailed as failed:
        steps.say(f"failed: {failed.step}: {failed.tail or failed.command}")
        return Outcome(
            cause=st.Environment(
                step=failed.step, command=failed.command, code=failed.code, tail=failed.tail
            )
        )
    wake.interrupts = False
    if store.read_stop(run):
        raise Stop
    return _run(charge, wake, command, label_fd, log_fd)


def _prepare(charge: Charge, steps: Steps, host: dict[str, str], previous: str) -> wrapper.Command:
    run, request = charge.run, charge.request
    steps.begin("sandbox")
    steps.done(sandbox.prepare(run, request, previous, steps))
    prepared = environment.prepare(run, request, steps)
    if "LC_ALL" in host:
        prepared["LC_ALL"] = host["LC_ALL"]
    else:
        prepared.pop("LC_ALL", None)
    env = variables.of_command(prepared, request, run, charge.values)
    cwd = f"{run.job.sandbox}/{request.dir}" if request.dir else run.job.sandbox
    if not os.path.isdir(cwd):
        steps.begin("command")
        raise steps.fail(f"there is no directory {request.dir} in {request.revision}")
    return wrapper.Command(argv=variables.shell_argv(request.command, env), cwd=cwd, env=env)


def _run(charge: Charge, wake: Wake, command: wrapper.Command, label_fd: int, log_fd: int) -> Outcome:
    """Start the wrapper, record it, let it go, and stay until the command's end is recorded."""
    run = charge.run
    offset = os.lseek(log_fd, 0, os.SEEK_END)
    pid, go, told = wrapper.start(run, command, label_fd=label_fd, log_fd=log_fd, close=(charge.run_fd,))
    who = processes.identify(pid)
    store.append(run, ev.STARTED, wrapper=who.to_dict(), log_offset=offset)
    os.write(go, b"g")
    os.close(go)
    os.close(log_fd)
    scope = members.scope_of(run, who)
    said = _watch(charge, wake, scope, told)
    if said == wrapper.LEFT_BEHIND:
        _say_left_behind(run, scope)
    cause, duration_s = _await_proof(run)
    return Outcome(cause=cause, duration_s=duration_s, shared=said == wrapper.LEFT_BEHIND)


def _await_proof(run: layout.Run) -> tuple[st.Record, Optional[float]]:
    """What is recorded of the end. Where the wrapper was killed the command may live on, with
    nobody to tell of its end: only then is it looked for again and again."""
    while True:
        stored = store.load(run)
        proved = conclude.proven_end(stored) if stored else (st.SupervisorKilled(), None)
        if proved is not None:
            return proved
        select.select([], [], [], WRAPPER_WATCH_S)


def _watch(charge: Charge, wake: Wake, scope: Scope, told: int) -> bytes:
    """Sleep until the wrapper tells of the end, without a wake-up in between. A stop or the
    timeout ends the command. What the wrapper said, b"" when it vanished."""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    poll.register(wake.fd, select.POLLIN)
    limit = charge.request.timeout_s
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        rest = None if deadline is None else max(0, round((deadline - time.monotonic()) * 1000))
        ready = {fd for fd, _ in poll.poll(rest)}
        if told in ready:
            return os.read(told, 1)
        if wake.fd in ready:
            wake.drain()
        elif deadline is not None and time.monotonic() >= deadline:
            deadline = None
            ask = {"at": clock.now(), "by": "", "reason": "timeout", "timeout_s": limit}
            durable.create(charge.run.stop, durable.dump_json(ask))
        stop = store.read_stop(charge.run)
        if stop:
            _end(charge, scope, stop)


def _end(charge: Charge, scope: Scope, stop: dict[str, Any]) -> None:
    run = charge.run
    store.append(run, ev.STOPPING, by=stop.get("by", ""), reason=stop["reason"])
    grace_s = stop.get("grace_s")
    survivors = members.end(scope, charge.request.grace_s if grace_s is None else grace_s)
    if survivors:
        names = ", ".join(f"{p.name} (pid {p.pid})" for p in survivors)
        store.append(run, ev.NOTE, text=f"could not be killed: {names}")


def _say_left_behind(run: layout.Run, scope: Scope) -> None:
    left = members.find(scope)
    if left:
        names = ", ".join(f"{p.name} (pid {p.pid})" for p in left)
        store.append(run, ev.NOTE, text=f"left behind, and holding the label until it ends: {names}")
