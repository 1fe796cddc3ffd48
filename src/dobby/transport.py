"""How a verb reaches the agent: over the system's OpenSSH, or as a child on this machine.

One call is one session (`Session`): the header and the call go out at once, replies come back
framed. When the host lacks the agent, the session ships it on the way.
"""

from __future__ import annotations

import json
import os
import subprocess

from dobby.core import protocol
from dobby.core.errors import DobbyError, Unreachable, from_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from dobby.shipping import Agent

    class Transport(Protocol):
        """Starts the constant remote command on a host."""

        host: str
        connected: bool  # a session begins on a connection that stands already

        def start(self) -> subprocess.Popen[bytes]:
            """The running command with pipes on stdin, stdout and stderr. Raises Unreachable."""

        def explain(self, said: str) -> Unreachable:
            """Why a session ended without a reply; `said` is what its stderr gave."""

        def shell(self, command: str) -> int:
            """Run `command`, text without a user's words or a ', on this terminal: its exit code."""

        def rsync(self) -> tuple[list[str], str] | None:
            """Arguments that make rsync go the same way, and the prefix of a remote path; None
            where a copy on this machine needs no rsync."""


class Session:
    """One call under way. `on_reply(kind, payload)` sees every reply that is not the last one;
    what it returns, if not None, is sent as frames (an ask's answer)."""

    def __init__(self, transport: Transport, agent: Agent) -> None:
        self._transport = transport
        self._agent = agent
        self._marker = os.urandom(12).hex()

    def call(
        self,
        verb: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any] = lambda kind, payload: None,
        attached: bytes = b"",
    ) -> dict[str, Any]:
        """The verb's result. Raises the error that the agent answered, or Unreachable when the
        session ended without a last reply."""
        process = self._transport.start()
        try:
            first = protocol.dump_call(verb, dict(args), attached)
            self._send(process, protocol.header(self._agent.digest, self._marker), protocol.frame(first))
            return self._converse(process, on_reply)
        finally:
            _end(process)

    def _converse(
        self, process: subprocess.Popen[bytes], on_reply: Callable[[str, bytes], Any]
    ) -> dict[str, Any]:
        assert process.stdout is not None  # noqa: S101 - it has a pipe
        marker, answered = self._marker.encode(), False
        for line in process.stdout:
            answered = True
            head = protocol.parse_reply_line(marker, line)
            if head is None:
                continue  # a login file's words
            kind, length = head
            payload = process.stdout.read(length)
            if len(payload) != length:
                break
            if kind == protocol.DONE:
                result: dict[str, Any] = json.loads(payload)
                return result
            if kind == protocol.FAIL:
                raise from_wire(json.loads(payload))
            if kind == protocol.NEED:
                self._ship(process, payload.decode("ascii", "replace"))
                continue
            for part in on_reply(kind, payload) or ():
                self._send(process, part)
        error = self._transport.explain(_stderr(process))
        error.details["connected"] = answered or self._transport.connected
        raise error

    def _ship(self, process: subprocess.Popen[bytes], found: str) -> None:
        if found:
            raise _no_python(self._transport.host, found)
        archive = self._agent.archive()
        self._send(process, protocol.frame(self._agent.loader()), protocol.frame(archive))

    def _send(self, process: subprocess.Popen[bytes], *parts: bytes) -> None:
        assert process.stdin is not None  # noqa: S101 - it has a pipe
        try:
            for part in parts:
                process.stdin.write(part)
            process.stdin.flush()
        except BrokenPipeError:
            return  # what the host said before it closed the pipe is read next


def _no_python(host: str, found: str) -> DobbyError:
    oldest = ".".join(map(str, protocol.OLDEST_PYTHON))
    others = found.split()
    what = f"only {', '.join(others)}, older than {oldest}" if others != ["none"] else "no python3"
    return DobbyError(
        f"host {host} has {what}",
        f"install Python {oldest} or later there, or name one in ~/.dobby/config.toml: python = \"/path/to/python3\"",
    )


def _stderr(process: subprocess.Popen[bytes]) -> str:
    """What the session's end said. A process left behind may hold the pipe open, so its end is
    awaited for an instant only."""
    import select

    assert process.stderr is not None  # noqa: S101 - it has a pipe
    process.wait()
    said, fd = b"", process.stderr.fileno()
    while select.select([fd], [], [], 0.2)[0]:
        part = os.read(fd, 65536)
        if not part:
            break
        said += part
    return said.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close our ends; the agent sees that its caller has gone. Its exit code says nothing."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:
            continue
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- this machine -------------------------------------------------------------------------

_KEPT = (
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "TMPDIR", "TERM"),
    *("XDG_RUNTIME_DIR", "DOBBY_HOME"),
)


class Local:
    """The same agent on this machine, without ssh. Nothing of the caller's shell leaks in: only
    what a login would set as well, and PATH without an active virtual environment."""

    host = "local"
    connected = True

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._env = {k: v for k, v in environ.items() if k in _KEPT or k.startswith("LC_")}
        active = environ.get("VIRTUAL_ENV")
        if active:
            path = environ.get("PATH", "").split(":")
            self._env["PATH"] = ":".join(p for p in path if p != f"{active}/bin")

    def start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["/bin/sh", "-c", protocol.BOOTSTRAP],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._env,
            cwd="/",
            start_new_session=True,
        )

    def explain(self, said: str) -> Unreachable:
        return Unreachable(f"the agent on this machine did not answer: {said.strip() or 'no reason given'}")

    def shell(self, command: str) -> int:
        return subprocess.call(["/bin/sh", "-c", command], env=self._env, cwd="/")

    def rsync(self) -> None:
        return None
