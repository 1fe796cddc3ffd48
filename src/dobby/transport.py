"""How a verb reaches the agent: over the system's OpenSSH (ssh.py), or as a child on this machine
(local.py).

A session (`Session`) is a program that we started: the header goes out as it starts, then the call;
replies come back framed. When the host lacks the agent, the session ships it on the way. Where more
calls may follow, the session stays for the next.
"""

from __future__ import annotations

import os
import time

from dobby.begun import Begun, Watchdog, exit_code
from dobby.core import protocol
from dobby.core.errors import DobbyError, Unreachable, from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from dobby.program import Program
    from dobby.shipping import Agent

    class Transport(Protocol):
        """Starts the constant remote command on a host. Within `patience_s` seconds it says
        `here`; None where a person may be asked something first."""

        host: str
        patience_s: float | None

        def connect(self) -> str:
            """Have a connection, so that a call costs no handshake: "made" now, "open" already,
            "each" (every call makes its own) or "local" (it takes none). Raises Unreachable."""

        def is_near(self) -> bool:
            """Whether a session starts at once: no handshake, and nothing is asked of a person."""

        def start(self, errors: int) -> Program:
            """The running command with pipes on stdin and stdout, and stderr to the descriptor
            `errors`. Raises Unreachable."""

        def explain(self, said: str, code: int, here: bool) -> Unreachable:
            """Why a session ended without a last reply: what its stderr gave, its exit code, and
            whether the host's sh had answered. `details` are those of `ended`."""

        def abandon(self, program: Program) -> None:
            """Leave a session that does not end; the agent ends when it has done its work."""

        def shell(self, command: str) -> int:
            """Run `command`, text without a user's words or a ', on this terminal: its exit code."""

        def rsync(self) -> tuple[list[str], str] | None:
            """Arguments that make rsync go the same way, and the prefix of a remote path; None
            where a copy on this machine needs no rsync."""


PATIENCE_S = 30.0
_SAID_BYTES = 65536
_NOISE_KEPT = 200


def ended(
    message: str, hint: str = "", *, reached: bool, maybe: bool = False, refused: bool = False
) -> Unreachable:
    """The error of a session without a last reply. `reached`: the host had answered before.
    `maybe`: whether the call arrived is not known. `refused`: to ask again is in vain."""
    return Unreachable(message, hint, reached=reached, maybe=maybe or reached, refused=refused)


class Session:
    """Calls to one host, one after another. `on_reply(kind, payload)` sees every reply that is not the
    last one; what it returns, if not None, is sent as frames (an ask's answer). `agent` gives the agent:
    it is asked once the program that leads to the host is on its way."""

    def __init__(self, transport: Transport, agent: Callable[[], Agent]) -> None:
        self._transport, self._agent = transport, agent
        self._marker = os.urandom(12).hex()
        self._here = self._replied = False
        self._began = 0.0
        # What `host check` tells: how long the host took to answer, and what login files printed.
        self.here_s: float | None = None
        self.noise, self.noise_bytes = b"", 0
        self._begun: Begun | None = None

    def begin(self) -> None:
        """Start the agent before the call is known: it gets ready meanwhile. Raises Unreachable."""
        self._begun = self._start(anew=False)

    def foretell(self, ahead: bytes) -> None:
        """Say, after `begin`, what the call is likely to be for (`protocol.dump_ahead`)."""
        if self._begun is not None and not self._begun.told:
            self._begun.told = self._send(self._begun.program, protocol.frame(ahead))

    def give_up(self) -> None:
        """End what `begin` started and no call has used."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun.taken()
            begun.leave()

    def call(
        self,
        verb: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any] = lambda kind, payload: None,
        attached: bytes = b"",
        more: bool = False,
    ) -> dict[str, Any]:
        """The verb's result. Raises the error that the agent answered, or Unreachable when the
        session ended without a last reply. `more`: the agent is to wait for another call.

        An agent that fails before its first word was damaged on the host: it is sent again. One that
        has waited may have left just now: where it says nothing, another one is asked."""
        first = protocol.frame(protocol.dump_call(verb, dict(args), attached, more))
        lost = False
        if self._begun is not None and self._begun.has_served:
            try:
                return self._attempt(first, on_reply, more)
            except (Unreachable, _Crashed):
                if self._replied:
                    raise
                lost = True
        try:
            return self._afresh(first, on_reply, more)
        except Unreachable as error:
            if lost:
                error.details["maybe"] = True
            raise

    def _afresh(self, first: bytes, on_reply: Callable[[str, bytes], Any], more: bool) -> dict[str, Any]:
        try:
            return self._attempt(first, on_reply, more)
        except _Crashed:
            pass
        try:
            return self._attempt(first, on_reply, more, anew=True)
        except _Crashed as crash:
            raise crash.error from None

    def _attempt(
        self, first: bytes, on_reply: Callable[[str, bytes], Any], more: bool, anew: bool = False
    ) -> dict[str, Any]:
        begun, self._begun = self._begun or self._start(anew), None
        program, self._replied = begun.program, False
        begun.taken()
        try:
            with Watchdog(program, None if begun.has_served else self._transport.patience_s) as watchdog:
                self._send(program, first if begun.told else protocol.frame(b"") + first)
                result = self._converse(program, on_reply, watchdog)
            if result is None:
                return self._failed(program, begun.errors, watchdog.barked)
            if more:
                self._begun = begun.waiting(self)
            return result
        except protocol.Garbled as error:
            raise DobbyError(f"host {self._transport.host} sent {error}", protocol.GARBLED) from None
        finally:
            if self._begun is not begun:
                begun.leave()

    def is_waiting(self) -> bool:
        """Whether an agent that has served a call waits for the next. A process that was forked off
        the one whose session it is must not speak there too."""
        begun = self._begun
        return begun is not None and begun.has_served and begun.is_ours_alone() and not begun.has_ended()

    def _start(self, anew: bool) -> Begun:
        errors = errors_file()
        try:
            self._here, self._began = False, time.monotonic()
            begun = Begun(self._transport, self._transport.start(errors), errors)
        except BaseException:
            os.close(errors)
            raise
        try:
            self._send(begun.program, protocol.header(self._agent().digest, self._marker, anew))
        except BaseException:
            begun.leave()
            raise
        return begun

    def _converse(
        self, program: Program, on_reply: Callable[[str, bytes], Any], watchdog: Watchdog
    ) -> dict[str, Any] | None:
        """The result; None when the stream ended without one."""
        marker = self._marker.encode()
        while line := program.stdout.readline(protocol.MOST_LINE):
            head = protocol.parse_reply_line(marker, line)
            if head is None:
                self._note(line)  # a login file's words
                continue
            watchdog.rest()
            kind, length = head
            payload = program.stdout.read(length)
            if len(payload) != length:
                break
            if kind == protocol.HERE:
                self._here, self.here_s = True, time.monotonic() - self._began
                continue
            if kind == protocol.NEED:
                self._ship(program, payload.decode("utf-8", "replace"))
                continue
            self._replied = True
            if kind == protocol.DONE:
                return protocol.parse_answer(payload)
            if kind == protocol.FAIL:
                raise from_wire(protocol.parse_answer(payload))
            for part in on_reply(kind, payload) or ():
                if not self._send(program, part):
                    break  # the host has given up, and says why
        return None

    def _note(self, line: bytes) -> None:
        """Empty lines are our own: one parts the marker from what was printed."""
        if not self._here and line.strip():
            self.noise_bytes += len(line)
            self.noise = (self.noise + line)[:_NOISE_KEPT]

    def _failed(self, program: Program, errors: int, barked: bool) -> dict[str, Any]:
        """Raises what explains a session without a result."""
        code, said = exit_code(program), read_errors(errors)
        if barked:
            raise ended(
                f"host {self._transport.host} let us in, but did not answer within "
                f"{self._transport.patience_s:g} s",
                "a login file there may start another shell or wait for input; it should do so only "
                "where a person types (case $- in *i*)",
                reached=False,
                maybe=True,
            )
        if code == protocol.READ_AS_SCRIPT and not self._here:
            raise ended(
                f"host {self._transport.host} has a login file that starts another shell in our place",
                "it should do so only where a person types: case $- in *i*) exec … ;; esac",
                reached=False,
            )
        error = self._transport.explain(said, code, self._here)
        if self._here and not self._replied and 0 < code < 255:
            raise _Crashed(error)
        raise error

    def _ship(self, program: Program, found: str) -> None:
        if found:
            raise _no_python(self._transport.host, found)
        agent = self._agent()
        self._send(program, protocol.frame(agent.loader()), protocol.frame(agent.archive()))

    def _send(self, program: Program, *parts: bytes) -> bool:
        """False when the host has closed its end; what it said before that is read next."""
        try:
            for part in parts:
                program.stdin.write(part)
            program.stdin.flush()
        except BrokenPipeError:
            return False
        return True


class _Crashed(Exception):
    """The agent ended before its first word; `error` says how."""

    def __init__(self, error: Unreachable) -> None:
        super().__init__(error.message)
        self.error = error


def _no_python(host: str, found: str) -> DobbyError:
    oldest = ".".join(map(str, protocol.OLDEST_PYTHON))
    others = found.split()
    what = f"only {', '.join(others)}, older than {oldest}" if others != ["none"] else "no python3"
    return DobbyError(
        f"host {host} has {what}",
        f"install Python {oldest} or later there, or name one in ~/.dobby/config.toml: "
        'python = "/path/to/python3"',
        lacks="python",
    )


def errors_file() -> int:
    """A descriptor for a program's stderr: a file, because a pipe that nobody reads stalls who
    writes much, and one that a process left behind holds open never ends."""
    try:
        return os.memfd_create("stderr")
    except (AttributeError, OSError):  # not Linux
        import tempfile

        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def read_errors(errors: int) -> str:
    """The end of what was said."""
    size = os.fstat(errors).st_size
    return os.pread(errors, _SAID_BYTES, max(0, size - _SAID_BYTES)).decode("utf-8", "replace")


def last_words(said: str) -> str:
    """The last line that is not empty."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
