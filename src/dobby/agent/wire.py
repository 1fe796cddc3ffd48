"""The agent's end of the wire: calls come in frames on stdin, replies go framed to stdout."""

from __future__ import annotations

import os

from dobby.core import json, protocol
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO


class Wire:
    """One session. `source` gives the frames that follow the call."""

    def __init__(self, source: BinaryIO, marker: str, out_fd: int = 1) -> None:
        self._source = source
        self._marker = marker
        self._out = out_fd

    def read_frame(self) -> bytes:
        """The next frame, whole. Raises DobbyError when the connection was cut before its end."""
        length = protocol.parse_length(self._source.readline(protocol.MOST_LINE))
        data = self._source.read(length) if length is not None else b""
        if len(data) != length:
            raise cut()
        return data

    def check_caller(self) -> None:
        """Raises DobbyError when the caller has gone, which it may have done in the midst of a
        long step: what it was not told of, it should not find running."""
        if self.has_more() and not self._source.peek(1):  # type: ignore[attr-defined]
            raise DobbyError("the caller has gone, so nothing was started")

    def has_more(self, within_s: float = 0) -> bool:
        """Whether the caller has sent something that was not read yet, or has gone."""
        import select

        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    @property
    def fd(self) -> int:
        """What can be read as soon as the caller says something, or has gone."""
        return self._source.fileno()

    def is_silent(self) -> bool:
        """Whether nothing is here that was not read yet, nor in our own buffer."""
        if self.has_more():
            return False
        os.set_blocking(self.fd, False)
        try:
            return not self._source.peek(1)  # type: ignore[attr-defined]
        finally:
            os.set_blocking(self.fd, True)

    def is_called_again(self, within_s: float) -> bool:
        """Whether another call begins to arrive. The last one is done, so its caller has sent nothing
        behind it until now, which might have been read along."""
        return self.has_more(within_s) and bool(self._source.peek(1))  # type: ignore[attr-defined]

    def read_frames(self) -> Callable[[int], bytes]:
        """A reader of one byte stream that comes as frames and ends with an empty one."""
        rest = memoryview(b"")
        ended = False

        def read(most: int) -> bytes:
            nonlocal rest, ended
            if not rest and not ended:
                rest = memoryview(self.read_frame())
                ended = not rest
            part, rest = rest[:most], rest[most:]
            return bytes(part)

        return read

    def reply(self, kind: str, payload: bytes) -> None:
        """Raises BrokenPipeError when the caller is gone."""
        data = memoryview(protocol.dump_reply(self._marker, kind, payload))
        while data:
            data = data[os.write(self._out, data) :]

    def reply_json(self, kind: str, value: Any) -> None:
        """`value` is plain, or JSON already, as bytes."""
        self.reply(kind, value if isinstance(value, bytes) else json.dumps(value).encode())

    def say(self, text: str) -> None:
        """Progress, for a person."""
        self.reply(protocol.SAY, text.encode("utf-8", "surrogateescape"))


def cut() -> DobbyError:
    return DobbyError("the connection was cut before the request had arrived whole")
