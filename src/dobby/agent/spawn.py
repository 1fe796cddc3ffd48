"""Start a program and wait for it: what `subprocess` does, at a fifth of its import time.

fork and exec of our own, because the agent is one thread and starts afresh for every verb.
"""

from __future__ import annotations

import os
import select
import time

from dobby.agent import signal
from dobby.core.lazy import once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Optional

NOT_STARTED = 127


def default_signals() -> None:
    """What a program expects to find: nothing ignored, nothing blocked (signal(7)). Whoever
    started us may have ignored any: nohup SIGHUP, python SIGPIPE, some SIGCHLD."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def spawn(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    stdin: Optional[int] = None,
    keep: Sequence[int] = (),
    group: bool = False,
    before_exec: Optional[Callable[[], object]] = None,
) -> int:
    """The pid of `argv` (first word looked up in env's PATH). stdin is /dev/null unless given.

    Descriptors in `keep` are inherited, all others above 2 are close-on-exec already
    (PEP 446). `group`: it leads a process group of its own, so that its `kill 0` reaches
    nothing of ours. `before_exec` is called in the new process. What keeps the program from
    starting is said on its stderr, exit 127. Raises OSError where there can be no further process."""
    if not (keep or group or before_exec):
        try:
            return _spawn_at_once(argv, cwd, env, stdin, stdout, stderr)
        except (OSError, ValueError):  # forked, it says itself what keeps it from starting
            pass
    pid = os.fork()
    if pid:
        return pid
    try:
        if group:
            os.setpgid(0, 0)
        default_signals()
        source = os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin
        for number, fd in enumerate(_clear_of_standard((source, stdout, stderr))):
            os.dup2(fd, number)
        for fd in keep:
            os.set_inheritable(fd, True)
        os.chdir(cwd)
        if before_exec:
            before_exec()
        os.execvpe(argv[0], list(argv), dict(env))
    except BaseException as error:
        os.write(2, f"{argv[0]}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(NOT_STARTED)


def _spawn_at_once(
    argv: Sequence[str], cwd: str, env: Mapping[str, str], stdin: Optional[int], stdout: int, stderr: int
) -> int:
    """The same by posix_spawn(3), which copies no page tables: a third of the CPU that a fork of a Python
    costs. It knows no working directory, so ours is changed for that moment. Raises OSError, ValueError."""
    source = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions: list[tuple[object, ...]] = [source] if stdin is None else []
    given = enumerate((stdin, stdout, stderr))
    moves = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in given if fd is not None]
    if any(fd < 3 for _, fd, _ in moves):
        raise OSError("a standard descriptor would be overwritten on the way")
    program = _find(argv[0], env)
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(cwd)
        return os.posix_spawn(
            program,
            list(argv),
            dict(env),
            file_actions=[*actions, *moves],
            setsigmask=(),
            setsigdef=_signals(),
        )
    finally:
        os.fchdir(here)
        os.close(here)


@once
def _signals() -> tuple[int, ...]:
    from dobby.agent import signal

    return tuple(map(int, signal.valid_signals()))


def _find(name: str, env: Mapping[str, str]) -> str:
    """As execvpe(3) finds it. Raises OSError where that is not certain beforehand."""
    if "/" in name:
        return name
    for folder in os.get_exec_path(env):
        path = f"{folder}/{name}"
        if not folder.startswith("/"):
            break
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(name)


def _clear_of_standard(fds: Sequence[int]) -> list[int]:
    """Duplicates above 2, so that dup2 onto 0, 1 and 2 in turn overwrites none of them."""
    return [os.dup(fd) if fd < 3 else fd for fd in fds]


def wait(pid: int) -> int:
    """The exit code, -N when signal N ended it."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def capture(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    input: bytes = b"",
    stderr: Optional[int] = None,
    most_s: Optional[float] = None,
) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a program. With `stderr`, a descriptor, that output
    goes there, and the third value is empty. One that has not closed its output within `most_s` seconds is
    killed with its process group, and TimeoutError raised."""
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe() if stderr is None else (-1, stderr)
    in_r, in_w = os.pipe() if input else (None, -1)
    group = most_s is not None
    pid = spawn(argv, cwd=cwd, env=env, stdin=in_r, stdout=out_w, stderr=err_w, group=group)
    os.close(out_w)
    if stderr is None:
        os.close(err_w)
    if in_r is not None:
        os.close(in_r)
    try:
        sinks = {fd: bytearray() for fd in (out_r, err_r) if fd >= 0}
        deadline = None if most_s is None else time.monotonic() + most_s
        got = _pump(sinks, in_w, input, deadline)
    except TimeoutError:
        os.killpg(pid, signal.SIGKILL)
        wait(pid)
        raise
    finally:
        os.close(out_r)
        if err_r >= 0:
            os.close(err_r)
    return wait(pid), bytes(got[out_r]), bytes(got.get(err_r, b""))


def _pump(
    sinks: dict[int, bytearray], in_w: int, input: bytes, deadline: Optional[float]
) -> dict[int, bytearray]:
    """Feed `input` and read every sink until all have ended; neither side can stall the other. Raises
    TimeoutError at `deadline`, by the monotonic clock."""
    poll, open_sinks = select.poll(), set(sinks)
    for fd in sinks:
        poll.register(fd, select.POLLIN)
    rest = memoryview(input)
    if in_w >= 0:
        os.set_blocking(in_w, False)
        poll.register(in_w, select.POLLOUT)
    while open_sinks:
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError
        for fd, _ in poll.poll(left_s and left_s * 1000):
            if fd == in_w:
                try:
                    rest = rest[os.write(in_w, rest[:65536]) :]
                except BrokenPipeError:
                    rest = rest[:0]
                if not rest:
                    poll.unregister(in_w)
                    os.close(in_w)
                    in_w = -1
            else:
                data = os.read(fd, 65536)
                sinks[fd] += data
                if not data:
                    poll.unregister(fd)
                    open_sinks.discard(fd)
    if in_w >= 0:
        os.close(in_w)
    return sinks
