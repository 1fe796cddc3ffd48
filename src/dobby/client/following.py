"""Follow a run across lost connections: bytes by offset, the end by its final state."""

from __future__ import annotations

import time

from dobby.core import json, protocol
from dobby.core.errors import Unreachable
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.client.client import Run
    from dobby.client.hosts import Hosts

LONGEST_PAUSE_S = 5.0


class Follower(Record):
    """Who follows a run from its launch on: told when it is acknowledged, then given the bytes
    that the set-up and the job write, in order and exact."""

    acknowledged: Callable[[Run], Any]
    write: Callable[[bytes], Any]
    setup: Callable[[bytes], Any]


class Reader:
    """Takes a log's replies: job's bytes to `write`, the set-up's to `setup`. Knows which run it is
    and the offset reached: all that is needed to come back."""

    def __init__(
        self,
        write: Callable[[bytes], Any],
        setup: Callable[[bytes], Any],
        say: Callable[[str], None],
        offset: int | None,
    ) -> None:
        self._write, self._setup, self._say = write, setup, say
        self.offset = offset
        self.which: dict[str, Any] = {}

    def on_reply(self, kind: str, payload: bytes) -> None:
        if kind == protocol.RUN:
            self.which = json.loads(payload)
        elif kind == protocol.AT:
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
            args = {**args, **reader.which}
            if reader.offset is not None:
                args.update(offset=reader.offset, tail=None)
            row: dict[str, Any] = hosts.call(host, "follow", args, reader.on_reply)["run"]
            if row.get("finished_at") or not args.get("follow"):
                return row  # else the agent takes us for gone: one that waited with it was killed
        except Unreachable as error:
            refused = error.details.get("refused")
            if refused or not (lost or reader.which or error.details.get("reached")):
                raise
        if not lost:
            say(f"the connection to {host} was lost; the run goes on, connecting again")
        lost = True
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
