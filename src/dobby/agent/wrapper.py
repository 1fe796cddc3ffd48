"""The command's parent: as small as can be, and it outlives the supervisor's death.

Session leader and subreaper, so that what the command leaves behind stays ours. It writes
exit.json durably before it tells anyone, and holds the label's lock while anything lives.
A fork of the supervisor rather than an sh: no shell can tell `exit 137` from SIGKILL.
"""

from __future__ import annotations

import os
import time

from dobby.agent import cgroups, clock, durable, limits, members, processes, signal, spawn, trouble
from dobby.core import container, layout
from dobby.core import status as st
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

ENDED = b"e"  # exit.json is written, nothing of the run is left, the label is free of us
LEFT_BEHIND = b"l"  # exit.json is written, but children live on
LINGER_S = 0.1  # what ends by itself within this time was not left behind: `> >(tee log)`
ENGINE_LINGERS_S = 5.0  # the same for an engine, whose own processes clear away a container
_GO = b"g"
_STEP_S = 0.005


class Command(Record):
    """What to start: `argv` in `cwd` with `env` whole, in the cgroups `fences`, without which it is
    not started where they are its limits (`limited`); with `nice` and `umask`. `is_engine`:
    it runs the command in a container, and tells by its exit code how that ended."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    fences: tuple[str, ...] = ()
    limited: bool = False
    nice: int = 0
    umask: int = 0o077
    is_engine: bool = False


def start(
    run: layout.Run, command: Command, *, label_fd: int, log_fd: int, close: tuple[int, ...]
) -> tuple[int, int, int]:
    """Fork the wrapper: its pid, a descriptor for `let_go`, and one that gives
    ENDED or LEFT_BEHIND. Without the go it ends and starts nothing. `close` are descriptors
    that it must not inherit: the run's lock above all. Raises OSError where fork fails."""
    go_r, go_w = os.pipe()
    told_r, told_w = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for fd in (go_r, go_w, told_r, told_w):
            os.close(fd)
        raise
    if pid:
        os.close(go_r)
        os.close(told_w)
        return pid, go_w, told_r
    try:
        for fd in (go_w, told_r, *close):
            os.close(fd)
        _become_wrapper()
        _carry(run, command, label_fd, log_fd, go_r, told_w)
    except BaseException:
        trouble.tell()
    finally:
        os._exit(0)


def let_go(go: int) -> None:
    """Tell the wrapper to start the command. One that was killed is noticed by its silence."""
    _tell(go, _GO * 2)  # it and the process that becomes the command wait for a byte each
    os.close(go)


def _become_wrapper() -> None:
    """A session and a process group of our own, away from what signals the command's."""
    os.setsid()
    processes.name_self("dobby-wrap")
    processes.become_subreaper()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def _carry(run: layout.Run, command: Command, label_fd: int, log_fd: int, go_r: int, told_w: int) -> None:
    """The command's process is made while it is being recorded that the command starts."""
    cause: Optional[Record] = None
    try:
        pid = spawn.spawn(
            command.argv,
            cwd=command.cwd,
            env=command.env,
            stdout=log_fd,
            stderr=log_fd,
            keep=(label_fd,),
            group=True,
            before_exec=lambda: _settle_in(command, go_r),
        )
    except OSError as error:
        cause = st.Internal(message=f"the command could not be started: {error.strerror}")
    if not os.read(go_r, 1):
        return
    began = time.monotonic()
    if cause is None:
        cause = _proved(_await(pid), command.fences)
    if command.is_engine and isinstance(cause, st.Exit):
        cause = _within(cause.code)
    content = {
        "at": clock.now(),
        "cause": st.dump_cause(cause),
        "duration_s": round(time.monotonic() - began, 3),
        "stop_asked": os.path.exists(run.stop),
        "usage": None if command.is_engine else limits.usage(command.fences),
    }
    durable.create(run.exit, durable.dump_json(content))
    own_locks = members.scope_of(run, None).own_locks
    if _lingers(own_locks, ENGINE_LINGERS_S if command.is_engine else LINGER_S):
        _tell(told_w, LEFT_BEHIND)
        while _any_left(own_locks) and _wait_one():
            pass
    cgroups.remove(command.fences)
    os.close(label_fd)
    _tell(told_w, ENDED)


def _await(pid: int) -> Record:
    while True:
        ended, status = os.wait()
        if ended == pid:
            return cause_of(os.waitstatus_to_exitcode(status))


def _within(code: int) -> Record:
    """How a command in a container ended. Engines tell of a signal N by the code 128+N."""
    if not container.is_signal(code):
        return st.Exit(code=code)
    cause = cause_of(container.SIGNALS.start - 1 - code)
    assert isinstance(cause, st.Signal)  # noqa: S101 - the code is negative
    same = f"or its own exit code {code}"
    hint = ", ".join(filter(None, (cause.hint, same)))
    return st.Signal(number=cause.number, name=cause.name, hint=hint)


def _settle_in(command: Command, go_r: int) -> None:
    """In the command's process, before it becomes the command, as it does with the go. Raises OSError
    where its limits would not hold."""
    for path in command.fences:
        try:
            cgroups.enter(path)
        except OSError as error:  # the command's descent still tells whose it is
            if command.limited:
                raise
            os.write(2, f"[dobby] not in its cgroup: {error}\n".encode())
    limits.stand_back(command.nice)
    os.umask(command.umask)
    if not os.read(go_r, 1):
        os._exit(spawn.NOT_STARTED)


def _proved(cause: Record, fences: tuple[str, ...]) -> Record:
    """The cause, being out of memory where SIGKILL (a shell's 137) came and the cgroup proves it."""
    by_signal = isinstance(cause, st.Signal) and cause.number == signal.SIGKILL
    killed = by_signal or cause == st.Exit(code=128 + signal.SIGKILL)
    return st.OutOfMemory() if killed and any(map(cgroups.was_out_of_memory, fences)) else cause


def cause_of(code: int) -> Record:
    """The cause for an exit code, -N meaning signal N (as os.waitstatus_to_exitcode gives)."""
    if code >= 0:
        return st.Exit(code=code)
    try:
        from signal import Signals

        name = Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "probably out of memory" if -code == signal.SIGKILL else ""
    return st.Signal(number=-code, name=name, hint=hint)


def _reap() -> bool:
    """Collect what has ended; whether any child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _lingers(own_locks: frozenset[str], seconds: float) -> bool:
    """Whether children live on, after a moment in which they may end."""
    deadline = time.monotonic() + seconds
    while _reap() and _any_left(own_locks):
        if time.monotonic() >= deadline:
            return True
        time.sleep(_STEP_S)
    return False


def _wait_one() -> bool:
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True


def _any_left(own_locks: frozenset[str]) -> bool:
    """Whether a child of ours is part of the run: another run's supervisor is not, though it
    became our child when the dobby that the job had called went away."""
    me = os.getpid()
    return any(p.parent == me and not members.is_other_run(p.pid, own_locks) for p in processes.table())


def _tell(fd: int, what: bytes) -> None:
    try:
        os.write(fd, what)
    except BrokenPipeError:  # the other one is gone; what is recorded speaks
        return
