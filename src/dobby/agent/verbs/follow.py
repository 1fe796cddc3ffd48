"""A run's log from an offset on, and its end. Ends when the run is final, never because a
stream did; a caller that lost its connection comes back with the offset that it had reached."""

from __future__ import annotations

import os

from dobby.agent import locks, rows
from dobby.agent.watch import SAFETY_S, Watch
from dobby.core import protocol
from dobby.core import status as st
from dobby.core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout

CHUNK = 1 << 18
ORPHAN_S = 0.5


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them, with `follow` (until the run is final), `until_started`
    (then: or until its command starts), `quiet` (no bytes), `offset` (byte of the file to begin at;
    None: the job's first), `tail` (lines; None: all). Says which run it is, sends its bytes as
    `setup` and `data`, and answers `run`, a row, and the `offset` reached."""
    stored = rows.target(call.home, call.args)
    which = stored.run
    exactly = {"project": which.project, "label": which.label, "run": which.run_id}
    call.wire.reply_json(protocol.RUN, exactly)
    sender = _Sender(call, stored)
    watch = _watch(which, growth=not call.args.get("quiet")) if call.args.get("follow") else None
    stored = _stream(stored, sender, watch, bool(call.args.get("until_started")))
    # The watch ends with this process: to close it takes the kernel 10 ms, and the caller waits.
    return {"run": rows.row(stored), "offset": sender.offset}


def _watch(run: layout.Run, growth: bool) -> Watch:
    return Watch(run.root, (run.events, run.lock, run.job.lock), growth=growth)


def _stream(stored: Stored, sender: _Sender, watch: Optional[Watch], until_started: bool) -> Stored:
    known: object = ""
    seen: Optional[int] = -1
    while True:
        size = _log_bytes(stored.run)  # before the events: bytes seen are then explained
        state = _state(stored.run)
        grown, seen = size != seen, size
        if grown and (state == known or stored.wrapper() is not None):  # which need not wait for a look
            sender.send(stored, size)
        if not (grown and state == known and locks.is_held(stored.run.lock)):
            found = rows.look(stored.run)
            if found is None:
                raise NotFound(f"run {stored.run.run_id} was removed from {os.uname().nodename}")
            stored, known = found, state
            # The log may have grown before the command was started: where that is known, all is explained.
            begun = stored.wrapper() is not None or stored.final is not None
            sender.send(stored, _log_bytes(stored.run) if begun else size)
        if stored.final is not None or watch is None or (until_started and stored.wrapper() is not None):
            return stored
        # Processes that outlive supervisor and wrapper may hold no lock: their end wakes nobody.
        orphaned = stored.events and not locks.is_held(stored.run.lock)
        if not watch.wait(ORPHAN_S if orphaned else SAFETY_S):
            return stored


def _state(run: layout.Run) -> Optional[tuple[int, int, bool]]:
    """While this is the same, so is all that is known of the run but its log, where it is carried."""
    try:
        events = os.stat(run.events)
    except FileNotFoundError:
        return None
    return events.st_size, events.st_mtime_ns, os.path.exists(run.final)


def _log_bytes(run: layout.Run) -> Optional[int]:
    """None where there is no log: not yet, or removed."""
    try:
        return os.stat(run.log).st_size
    except FileNotFoundError:
        return None


class _Sender:
    """Sends what the log has gained, told apart by the offset at which the job's bytes begin."""

    def __init__(self, call: Call, stored: Stored) -> None:
        self._wire = call.wire
        self._quiet = bool(call.args.get("quiet"))
        self._tail: Optional[int] = call.args.get("tail")
        self._begin: Optional[int] = call.args.get("offset")
        self.offset = self._begin or 0
        self._run = stored.run
        self._cut = False  # by the job: all that stands there now is its own
        self._said = ""

    def send(self, stored: Stored, size: Optional[int]) -> None:
        """Send what has come up to `size`, the log's length (None: there is none)."""
        if self._quiet:
            return
        job_begins = _job_begins(stored)
        if size is None:
            if job_begins is not None:
                self._say_once("the log was removed: what stood there, and what is still to come, is lost")
            return
        if self._begin is None or self._tail is not None:
            if job_begins is None and stored.final is None and self._begin is None:
                return  # only the job's bytes are wanted, and it has not begun
            self._settle_begin(0 if size < (job_begins or 0) else job_begins or 0, size)
        if size < max(self.offset, job_begins or 0) and not self._cut:
            self._cut = True
            self._wire.say("the log was truncated by the job: what stood there is lost")
        if size < self.offset:
            self.offset = 0
            self._wire.reply(protocol.AT, b"0")
        setup_ends = 0 if self._cut else size if job_begins is None else job_begins
        self._copy(protocol.SETUP, min(size, setup_ends))
        self._copy(protocol.DATA, size)

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._wire.say(text)
        self._said = text

    def _settle_begin(self, first: int, size: int) -> None:
        first = first if self._begin is None else self._begin
        if self._tail is not None:
            first = _tail_offset(self._run.log, first, size, self._tail)
        self.offset, self._begin, self._tail = first, first, None
        self._wire.reply(protocol.AT, b"%d" % first)

    def _copy(self, kind: str, end: int) -> None:
        if end <= self.offset:
            return
        try:
            fd = os.open(self._run.log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # removed this instant: told at the next look
            return
        try:
            while self.offset < end:
                data = os.pread(fd, min(CHUNK, end - self.offset), self.offset)
                if not data:
                    return
                self._wire.reply(kind, data)
                self.offset += len(data)
        finally:
            os.close(fd)


def _job_begins(stored: Stored) -> Optional[int]:
    status = stored.view().status
    if isinstance(status, (st.Running, st.Final)):
        return status.log_offset
    return None


def _tail_offset(path: str, first: int, size: int, lines: int) -> int:
    """Where the last `lines` lines before `size` begin, not before `first`; reads backwards."""
    if lines <= 0:
        return size
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end, wanted = size, lines
        if size > first and os.pread(fd, 1, size - 1) == b"\n":
            end -= 1
        while end > first:
            begin = max(first, end - CHUNK)
            block = os.pread(fd, end - begin, begin)
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                wanted -= 1
                if wanted == 0:
                    return begin + at + 1
            end = begin
    finally:
        os.close(fd)
    return first
