"""One run as the steward follows it: what is to be told of it, and when it is to be looked at again."""

from __future__ import annotations

import os
import sys
import time

from dobby.agent import clock, locks, outbox
from dobby.agent.lanes import Letter
from dobby.core import delivered, notices
from dobby.core import status as st

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

    from dobby.agent.store import Stored
    from dobby.core import layout
    from dobby.core.host_settings import HostSettings

ORPHAN_S = 1.0  # between looks at a run that nobody carries: the end of its processes wakes nobody
UNBORN_S = 60.0  # the same where no command was started: its caller may yet ask again
TOGETHER_S = 0.05
_DOUBT_S = (0.05, 0.3, 2.0)  # after the close of its lock: the kernel tells of that before it frees it


class Tracked:
    """`watches` are inotify's numbers, the last one its lock's; `look_at` when to look (monotonic)."""

    def __init__(self, run: layout.Run, watches: Sequence[int]) -> None:
        self.run, self.watches = run, watches
        self.look_at: Optional[float] = 0.0
        self.letters: dict[delivered.Key, Letter] = {}
        self._delivered = outbox.read(run)
        self._silence = _Silence()
        self._doubts: list[float] = []

    def doubt(self) -> None:
        """Its lock was closed: somebody may have died."""
        now = time.monotonic()
        self._doubts = [now + rest for rest in _DOUBT_S]
        self.look_at = now

    def changed(self) -> None:
        """Something was written: what comes at once with it is taken in by the same look."""
        soon = time.monotonic() + TOGETHER_S
        self.look_at = soon if self.look_at is None else min(self.look_at, soon)

    def update(self, stored: Stored, settings: HostSettings) -> bool:
        """Take in what the run's directory says; whether all is over: final, and all is told."""
        self._plan_look(stored)
        self._notice_silence(stored, settings.stall_after_s)
        due = notices.due(
            stored.request,
            stored.events,
            stored.final,
            settings.channels.values(),
            created_at=stored.created_at,
            stalled=self._delivered.stalled is not None,
        )
        self.letters = {delivered.key_of(one): self._letter(one) for one in due}
        return stored.final is not None and all(letter.done for letter in self.letters.values())

    def _letter(self, delivery: notices.Delivery) -> Letter:
        key = delivered.key_of(delivery)
        if key in self.letters:
            return self.letters[key]
        letter = Letter(self.run, delivery, self._delivered.attempts.get(key), self._delivered.memory)
        letter.stalled = self._delivered.stalled
        return letter

    def _plan_look(self, stored: Stored) -> None:
        now = time.monotonic()
        self._doubts = [at for at in self._doubts if at > now]
        looks = self._doubts[:1]
        if stored.final is None and not locks.is_held(self.run.lock):
            looks.append(now + (ORPHAN_S if stored.wrapper() else UNBORN_S))
        self.look_at = min(looks, default=None)

    def _notice_silence(self, stored: Stored, limit_s: Optional[float]) -> None:
        live = isinstance(stored.view().status, (st.Preparing, st.Running))
        if not limit_s or not live or self._delivered.stalled is not None:
            return
        silent_s = self._silence.look(self.run.log)
        if silent_s < limit_s:
            again = time.monotonic() + limit_s - silent_s
            self.look_at = again if self.look_at is None else min(self.look_at, again)
            return
        line = {"kind": notices.STALLED, "at": clock.now(), "silent_s": round(silent_s, 1)}
        self._delivered = self._delivered.replace(stalled=line)
        try:
            outbox.record(self.run, line)
        except OSError as error:  # on a full disk people are told all the same
            print(f"not recorded ({error}): {self.run.run_id} {line}", file=sys.stderr)


class _Silence:
    """For how long a log has not grown. Its date is the wall clock's, which may jump: where we saw
    it ourselves, our own clock is believed."""

    def __init__(self) -> None:
        self._size = -1
        self._since = 0.0
        self._looked: Optional[float] = None

    def look(self, path: str) -> float:
        """Seconds until now."""
        now = time.monotonic()
        try:
            found = os.stat(path)
            size, age = found.st_size, max(0.0, time.time() - found.st_mtime)
        except FileNotFoundError:
            size, age = 0, 0.0
        if size != self._size:
            self._size = size
            self._since = now - (age if self._looked is None else min(age, now - self._looked))
        self._looked = now
        return now - self._since
