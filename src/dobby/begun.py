"""One program that was started for a session, from its start to its end."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import weakref
    from typing import Any

    from dobby.program import Program
    from dobby.transport import Session, Transport

_PARTING_S = 2.0  # to end, once its work is done


class Begun:
    """A program that was started, the descriptor that gets its stderr, whether something was foretold to
    it, and whether it has served a call."""

    def __init__(self, way: Transport, program: Program, errors: int) -> None:
        self.program, self.errors = program, errors
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
        poll.register(self.program.stdout, select.POLLIN)
        return bool(poll.poll(0))

    def leave(self) -> None:
        try:
            _end(self.program, self._way)
        finally:
            os.close(self.errors)


class Watchdog:
    """Ends a session whose host does not say `here`: a shell there swallows what we send."""

    def __init__(self, program: Program, patience_s: float | None) -> None:
        self.barked = False
        self._program = program
        self._timer = None
        if patience_s is not None:
            from threading import Timer  # while the host starts

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
        self._program.kill()


def exit_code(program: Program) -> int:
    """Its stdout has ended, so it is about to."""
    if not program.ends(_PARTING_S):
        program.kill()
    return program.wait()


def _end(program: Program, way: Transport) -> None:
    """Close our ends; the agent sees that its caller has gone. Its exit code says nothing."""
    for pipe in (program.stdin, program.stdout):
        try:
            pipe.close()
        except BrokenPipeError:
            continue
    if not program.ends(_PARTING_S):
        way.abandon(program)
