"""One program that was started for a session, from its start to its end."""

from __future__ import annotations

import os
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    import weakref
    from typing import Any

    from dobby.transport import Session, Transport

_PARTING_S = 2.0


class Begun:
    """A program that was started: its process, the descriptor that gets its stderr, whether something was
    foretold to it, and whether it has served a call."""

    def __init__(self, way: Transport, process: subprocess.Popen[bytes], errors: int) -> None:
        self.process, self.errors = process, errors
        self.told = self.has_served = False
        self._way, self._owner = way, os.getpid()
        self._parting: weakref.finalize[..., Any] | None = None

    def waiting(self, session: Session) -> Begun:
        """It waits for the next call, as long as there is `session`."""
        import weakref

        self.told, self.has_served = False, True
        self._parting = weakref.finalize(session, self.leave)
        return self

    def taken(self) -> None:
        """It waits no more."""
        if self._parting:
            self._parting.detach()

    def is_ours_alone(self) -> bool:
        return self._owner == os.getpid()

    def has_ended(self) -> bool:
        """Whether there is something to read while no call is under way: the stream's end."""
        import select

        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)  # type: ignore[arg-type]
        return bool(poll.poll(0))

    def leave(self) -> None:
        try:
            _end(self.process, self._way)
        finally:
            os.close(self.errors)


class Watchdog:
    """Ends a session whose host does not say `here`: a shell there swallows what we send."""

    def __init__(self, process: subprocess.Popen[bytes], patience_s: float | None) -> None:
        self.barked = False
        self._process = process
        self._timer = None
        if patience_s is not None:
            from threading import Timer  # subprocess has imported it already

            self._timer = Timer(patience_s, self._bark)
            self._timer.daemon = True

    def __enter__(self) -> Watchdog:
        if self._timer:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _bark(self) -> None:
        self.barked = True
        self._process.kill()


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Its stdout has ended, so it is about to."""
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _end(process: subprocess.Popen[bytes], way: Transport) -> None:
    """Close our ends; the agent sees that its caller has gone. Its exit code says nothing."""
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue
    if not _ends(process, _PARTING_S):
        way.abandon(process)


def _ends(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Whether it ends in that time, told as soon as it does: `Popen.wait` sleeps between two looks."""
    if process.poll() is not None:
        return True
    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True
    import select

    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(within_s * 1000)
    finally:
        os.close(fd)
    return process.poll() is not None
