"""A session's program: what `subprocess.Popen` is, for one that starts before anything else is imported.

`subprocess` alone takes 3 ms to import, by which the host would begin later (decision 0013).
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without the enums of `signal`
import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import IO

_LOOK_AGAIN_S = 0.01
_OF_A_SHELL = 256  # descriptors that it might have opened for us
_PIPE_BYTES = 1 << 18  # a log's frame; far below what all pipes of a user may hold (pipe(7))


class Program:
    """`argv` at work, with pipes on `stdin` and `stdout`, and its stderr at the descriptor `errors`;
    nothing else of what we have open is inherited. The first word is looked up in PATH. `apart`: in a
    session of its own. Raises OSError, FileNotFoundError above all."""

    def __init__(
        self, argv: Sequence[str], errors: int, env: Mapping[str, str], apart: bool = False
    ) -> None:
        passing: list[int] = []  # closed below, however far we come
        try:
            passing += os.pipe()
            passing += os.pipe()
            its_stdin, to_it, from_it, its_stdout = passing
            _widen(from_it)
            # Above the standard ones, so that none is overwritten on the way.
            for fd in (its_stdin, its_stdout, errors):
                passing.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
            theirs = passing[4:]
            self.pid = os.posix_spawnp(
                argv[0],
                list(argv),
                env,
                file_actions=[
                    *((os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(theirs)),
                    *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
                ],
                setsid=apart,
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them
            )
            passing = [its_stdin, its_stdout, *theirs]
        finally:
            for fd in passing:
                os.close(fd)
        self.stdin: IO[bytes] = open(to_it, "wb")  # noqa: SIM115 - as long as the session
        self.stdout: IO[bytes] = open(from_it, "rb")  # noqa: SIM115
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, -N where signal N ended it; None while it lives."""
        if self._code is None:
            self._collect(os.WNOHANG)
        return self._code

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self._code is None:
            self._collect(0)
        assert self._code is not None  # noqa: S101 - it was waited for
        return self._code

    def ends(self, within_s: float) -> bool:
        """Whether it ends in that time; told as soon as it does, where the system tells that."""
        if self.poll() is not None:
            return True
        try:
            fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            deadline = time.monotonic() + within_s
            while self.poll() is None and time.monotonic() < deadline:
                time.sleep(_LOOK_AGAIN_S)
            return self.poll() is not None
        import select

        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(within_s * 1000)
        finally:
            os.close(fd)
        return self.poll() is not None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # not waited for yet, so the pid is its own

    def _collect(self, how: int) -> None:
        try:
            pid, status = os.waitpid(self.pid, how)
        except ChildProcessError:  # another thread, or a caller who ignores SIGCHLD, was faster
            self._code = 0 if self._code is None else self._code
            return
        if pid:
            self._code = os.waitstatus_to_exitcode(status)


def _widen(pipe: int) -> None:
    """So that who writes much and who reads it wait less for each other."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (AttributeError, OSError):  # not Linux, or the user has too many of them
        return


def _inherited() -> list[int]:
    """What our caller had open beyond the standard three when it started us: all else is close-on-exec
    (PEP 446), until a thread of a caller of Python says otherwise."""
    found = []
    try:
        fds: Iterable[int] = map(int, os.listdir("/dev/fd"))
    except OSError:  # where /proc is not mounted
        fds = range(_OF_A_SHELL)
    for fd in fds:
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:  # the one by which they were listed
            continue
    return found
