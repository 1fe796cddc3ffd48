"""Follow a run across lost connections: bytes by offset, the end by its final state."""

from __future__ import annotations

import time

from dobby.core import protocol
from dobby.core.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.client.hosts import Hosts

LONGEST_PAUSE_S = 5.0


class Reader:
    """Takes a log's replies: job's bytes to `write`, the set-up's to `setup`; knows the offset."""

    def __init__(
        self,
        write: Callable[[bytes], Any],
        setup: Callable[[bytes], Any],
        say: Callable[[str], None],
        offset: int | None,
    ) -> None:
        self._write, self._setup, self._say = write, setup, say
        self.offset = offset
        self.answered = False

    def on_reply(self, kind: str, payload: bytes) -> None:
        self.answered = True
        if kind == protocol.AT:
            self.offset = int(payload)
        elif kind == protocol.SAY:
            self._say(payload.decode("utf-8", "replace"))
        elif kind in (protocol.DATA, protocol.SETUP):
            (self._write if kind == protocol.DATA else self._setup)(payload)
            self.offset = (self.offset or 0) + len(payload)


def follow(
    hosts: Hosts, host: str, args: dict[str, Any], reader: Reader, say: Callable[[str], None]
) -> dict[str, Any]:
    """The run's row once it is final (or, without `follow` in `args`, as it is now).

    A connection that is lost is made anew, and goes on at the byte that was reached; only a
    first connection that cannot be had, or what the host itself answers, is an error."""
    pause, lost = 0.5, False
    while True:
        try:
            if reader.offset is not None:
                args = {**args, "offset": reader.offset, "tail": None}
            row: dict[str, Any] = hosts.call(host, "follow", args, reader.on_reply)["run"]
            return row
        except Unreachable as error:
            refused = error.details.get("refused")
            if refused or not (lost or reader.answered or error.details.get("reached")):
                raise
            if not lost:
                say(f"the connection to {host} was lost; the run goes on, connecting again")
            lost = True
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
