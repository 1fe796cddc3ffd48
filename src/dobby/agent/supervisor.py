"""Carries one run from the label's lock to its final state; needs nobody once it lives."""

from __future__ import annotations

import os
import select
import time

from dobby.agent import (
    cgroups,
    clock,
    conclude,
    containers,
    durable,
    environment,
    limits,
    members,
    processes,
    readable,
    sandbox,
    signal,
    spare,
    ssh_agent,
    stewards,
    store,
    trouble,
    variables,
    wrapper,
)
from dobby.agent.line import Line
from dobby.agent.steps import StepFailed, Steps
from dobby.agent.wake import Stop, Wake
from dobby.core import events as ev
from dobby.core import status as st
from dobby.core.errors import DobbyError
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from dobby.agent.charge import Charge
    from dobby.agent.members import Scope
    from dobby.core import layout

LOOK_AGAIN_S = 0.5  # where nobody tells of the command's end: its wrapper was killed
LONGEST_POLL_MS = 86_400_000  # poll(2) takes an int: 24 days


class Outcome(Record):
    """How the command ended, or what kept it from starting. `shared`: something may live that
    holds the label's lock too."""

    cause: Record
    duration_s: Optional[float] = None
    shared: bool = False


def carry(charge: Charge, ready: Callable[[], Any]) -> None:
    """The whole life of a run. `ready` is called once its first event is durable."""
    processes.name_self("dobby-run")
    trouble.never_fails()
    wake, line = Wake(), Line(charge, ready)
    guard = stewards.Guard(charge.run.home)
    try:
        ssh_agent.watch(charge)
        outcome = _outcome(charge, wake, line)
        wake.interrupts = False
    except Stop:
        outcome = _end_early(charge)
    line.let_go_label(outcome.shared)  # before the run is seen to be final: the next may come at once
    stored = store.load(charge.run)
    if stored is not None:
        conclude.conclude(stored, outcome.cause, outcome.duration_s, charge.values)
    line.leave()
    os.close(charge.run_fd)
    guard.close()  # takes the kernel 10 ms, for which nobody need wait
    from dobby.agent import house  # not held in memory while the command runs

    house.keep(charge.run, charge.settings)


def _outcome(charge: Charge, wake: Wake, line: Line) -> Outcome:
    try:
        label_fd = line.stand()
        previous = _take_over(charge.run)
        line.begin()
        return _prepare_and_run(charge, wake, label_fd, previous)
    except Exception as error:
        trouble.tell()
        return Outcome(cause=st.Internal(message=_in_words(error)))


def _in_words(error: Exception) -> str:
    if isinstance(error, DobbyError):
        return error.message
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return f"dobby itself failed: {error!r}"


def _end_early(charge: Charge) -> Outcome:
    """A stop came while the run was queued or prepared: end the step that is under way."""
    run, grace_s = charge.run, (store.read_stop(charge.run) or {}).get("grace_s")
    scope = members.scope_of(run, processes.identify(os.getpid()))
    survivors = members.end(scope, charge.request.grace_s if grace_s is None else grace_s)
    if survivors:
        store.note(run, f"could not be killed: {members.named(survivors)}")
    if not store.read_stop(run) and ssh_agent.is_lost(charge):
        return Outcome(cause=_agent_lost())
    return Outcome(cause=st.Signal(number=int(signal.SIGTERM), name="SIGTERM"))


def _agent_lost() -> st.Environment:
    return st.Environment(step="set-up", command="", code=None, tail=ssh_agent.LOST)


def _take_over(run: layout.Run) -> str:
    """Say whose the label is now; the id of the run that had it before."""
    previous = conclude.read_holder(run.job)
    durable.replace(run.job.holder, run.run_id.encode() + b"\n")
    return previous


def _prepare_and_run(charge: Charge, wake: Wake, label_fd: int, previous: str) -> Outcome:
    run = charge.run
    processes.become_subreaper()  # what a step leaves, or a killed wrapper, stays in our sight
    log_fd = os.open(run.log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    readable.open_run(run, charge.settings, log_fd)
    host = variables.of_host(charge.settings, os.environ)
    steps = Steps(
        ssh_agent.for_steps(variables.of_steps(host, run), charge),
        log_fd,
        lambda name, took, note: store.jot(run, ev.PHASE, name=name, duration_s=took, note=note),
        charge.umask,
    )
    try:
        command = _prepare(charge, steps, host, previous)
    except StepFailed as failed:
        if ssh_agent.is_lost(charge):
            steps.say(f"failed: {ssh_agent.LOST}")
            return Outcome(cause=_agent_lost())
        steps.say(f"failed: {failed.step}: {_what_failed(failed)}")
        return Outcome(
            cause=st.Environment(
                step=failed.step, command=failed.command, code=failed.code, tail=failed.tail
            )
        )
    wake.interrupts = False
    ssh_agent.unwatch(charge)
    if store.read_stop(run):
        raise Stop
    return _run(charge, wake, command, label_fd, log_fd)


def _what_failed(failed: StepFailed) -> str:
    """What its output, which stands above in the log, does not say."""
    return failed.tail if failed.code is None else f"{failed.command} (exit {failed.code})"


def _prepare(charge: Charge, steps: Steps, host: dict[str, str], previous: str) -> wrapper.Command:
    run, request = charge.run, charge.request
    steps.begin("sandbox")
    note = sandbox.prepare(run, request, previous, steps, charge.seen)
    readable.open_top(run.job.sandbox, run)
    steps.done(note)
    prepared = environment.prepare(run, request, steps, charge.settings.variables, charge.values)
    for name in ("LC_ALL", ssh_agent.VARIABLE):  # dobby's own steps alone had another value
        if name in host:
            prepared[name] = host[name]
        else:
            prepared.pop(name, None)
    env = variables.of_command(prepared, request, run, charge.values)
    cwd = f"{run.job.sandbox}/{request.dir}" if request.dir else run.job.sandbox
    if not os.path.isdir(cwd):
        steps.begin("command")
        raise steps.fail(f"there is no directory {request.dir} in {request.revision}")
    inside = containers.of_job(run.job)
    if inside is None:
        own = variables.shell_argv(request.command, env)
        return wrapper.Command(argv=own, cwd=cwd, env=env, umask=charge.umask)
    argv, env = containers.in_container(
        inside, run, request, request.command, host, charge.values, charge.settings.variables
    )
    return wrapper.Command(argv=argv, cwd=cwd, env=env, is_engine=True)


def _run(charge: Charge, wake: Wake, command: wrapper.Command, label_fd: int, log_fd: int) -> Outcome:
    """Start the wrapper, record it, let it go, and stay until the command's end is recorded."""
    run = charge.run
    offset = os.lseek(log_fd, 0, os.SEEK_END)
    try:
        command = _within_limits(command, charge)
        pid, go, told = wrapper.start(
            run, command, label_fd=label_fd, log_fd=log_fd, close=(charge.run_fd,)
        )
    except OSError as error:
        return Outcome(cause=st.Internal(message=f"the host could not start a process: {error.strerror}"))
    except DobbyError as error:
        return Outcome(cause=st.Internal(message=error.message))
    who = processes.identify(pid)
    made = environment.fingerprint(run.job)
    wrapped = who.to_dict()
    first = command.fences[0] if command.fences else ""
    store.append(
        run,
        ev.STARTED,
        wrapper=wrapped,
        log_offset=offset,
        cgroup=first,
        environment=made,
        fences=command.fences,
    )
    try:
        wrapper.let_go(go)
        os.close(log_fd)
        spare.keep(charge, lambda steps, path: sandbox.make_spare(run, charge.request, steps, path))
        return Vigil(charge, wake, members.scope_of(run, who, first), told).until_end()
    except Exception:
        # The command lives, so nothing may be concluded: once we are dead the run's lock is free,
        # and whoever comes next goes by what the wrapper has recorded.
        trouble.tell()
        os._exit(1)


def _within_limits(command: wrapper.Command, charge: Charge) -> wrapper.Command:
    """Raises DobbyError where the host does not set them."""
    request = charge.request
    if command.is_engine:  # which was told them
        request = request.replace(memory_bytes=None, cpus=None)
    fences = limits.fence(request, charge.run.run_id, cgroups.divide(charge.run.run_id))
    limited = request.memory_bytes is not None or request.cpus is not None
    settled: wrapper.Command = command.replace(fences=fences, limited=limited, nice=request.nice)
    return settled


class Vigil:
    """Sleeps until the wrapper tells of the command's end, without a wake-up in between; a stop
    or the timeout ends the command."""

    def __init__(self, charge: Charge, wake: Wake, scope: Scope, told: int) -> None:
        self._charge, self._wake, self._scope, self._told = charge, wake, scope, told
        self._poll = select.poll()
        self._poll.register(told, select.POLLIN)
        self._poll.register(wake.fd, select.POLLIN)
        limit = charge.request.timeout_s
        self._deadline = None if limit is None else time.monotonic() + limit
        self._vanished = False  # the wrapper, before it told of the end
        self._stop: Optional[dict[str, Any]] = None  # as it was asked for
        self._survivors = ""

    def until_end(self) -> Outcome:
        """Returns once the end is recorded; after a stop, once nothing of the run is left."""
        while True:
            ready = {fd for fd, _ in self._poll.poll(self._rest_ms())}
            said = os.read(self._told, 1) if self._told in ready else None
            if self._wake.fd in ready:
                self._wake.drain()
            if said == b"":
                self._go_on_alone()
            if said == wrapper.ENDED or (said == wrapper.LEFT_BEHIND and not self._stop):
                return self._ended(said)
            try:
                self._end_if_asked()
            except OSError:  # no descriptor, or no process for a look at them: once more, then
                trouble.tell()
            proved = self._proof() if self._vanished else None
            if proved is not None:
                return Outcome(cause=proved[0], duration_s=proved[1], shared=True)

    def _rest_ms(self) -> Optional[int]:
        rest = [] if self._deadline is None else [max(0.0, self._deadline - time.monotonic())]
        if self._vanished or self._stop:
            rest.append(LOOK_AGAIN_S)
        return min(LONGEST_POLL_MS, int(min(rest) * 1000) + 1) if rest else None

    def _ended(self, said: bytes) -> Outcome:
        run = self._charge.run
        left = members.find(self._scope) if said == wrapper.LEFT_BEHIND else []
        if left:
            store.note(run, f"left behind, and holding the label until it ends: {members.named(left)}")
        ended = store.read_exit(run)
        assert ended is not None  # noqa: S101 - it was written before we were told
        return Outcome(cause=ended.cause, duration_s=ended.duration_s, shared=said == wrapper.LEFT_BEHIND)

    def _go_on_alone(self) -> None:
        """The wrapper was killed: its children are ours now, and nobody tells of the end."""
        self._poll.unregister(self._told)
        self._vanished = True
        self._scope = self._scope.replace(root=processes.identify(os.getpid()))

    def _proof(self) -> Optional[tuple[Record, Optional[float]]]:
        ended = store.read_exit(self._charge.run)
        if ended is not None:
            return ended.cause, ended.duration_s
        return None if members.find(self._scope) else (st.SupervisorKilled(), None)

    def _end_if_asked(self) -> None:
        run, request = self._charge.run, self._charge.request
        if self._stop is None:
            self._stop = self._time_out() or store.read_stop(run)
            if self._stop is None:
                return
            store.tell(run, ev.STOPPING, by=self._stop["by"], reason=self._stop["reason"])
        grace_s = self._stop["grace_s"]
        left = members.named(members.end(self._scope, request.grace_s if grace_s is None else grace_s))
        if left and left != self._survivors:
            self._survivors = left
            store.note(run, f"could not be killed: {left}")

    def _time_out(self) -> Optional[dict[str, Any]]:
        """The stop that the timeout asks for, when it is due."""
        if self._deadline is None or time.monotonic() < self._deadline:
            return None
        self._deadline = None
        limit = self._charge.request.timeout_s
        ask = {"at": clock.now(), "by": "", "reason": "timeout", "grace_s": None, "timeout_s": limit}
        try:
            durable.create(self._charge.run.stop, durable.dump_json(ask))
        except OSError:  # a full disk does not lift the limit
            trouble.tell()
        return ask
