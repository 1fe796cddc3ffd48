"""What is to be delivered, channel by channel: each has a lane of its own, one delivery at a time,
so that a channel which hangs keeps nobody else waiting. Times are of the monotonic clock."""

from __future__ import annotations

import os
import sys
import time

from dobby.agent import clock, outbox
from dobby.agent.sender import LATER, MOST_S, Sender
from dobby.core import delivered
from dobby.core.delivered import FAILED, GIVEN_UP, SENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Optional

    from dobby.core import layout
    from dobby.core.delivered import Attempt
    from dobby.core.host_settings import HostSettings
    from dobby.core.notices import Delivery

    Memory = dict[str, dict[str, Any]]


class Letter:
    """A delivery on its way. `memory` is the run's, by channel."""

    def __init__(
        self, run: layout.Run, delivery: Delivery, before: Optional[Attempt], memory: Memory
    ) -> None:
        self.run, self.delivery, self.memory = run, delivery, memory
        self.stalled: Optional[dict[str, Any]] = None
        self.attempts = before.attempts if before else 0
        self.is_news = before is None
        self.done = before is not None and before.state in (SENT, GIVEN_UP)
        now, wall = time.monotonic(), time.time()
        # From here on the wall's clock may jump.
        self._tried_since = now - max(0.0, wall - clock.parse(before.first_at)) if before else None
        rest = clock.parse(before.next_at) - wall if before and before.next_at else 0.0
        self.ready_at = now + min(max(0.0, rest), delivered.LONGEST_ASKED_S)

    def conclude(self, outcome: dict[str, Any]) -> Optional[float]:
        """Record what a `Sender` took; for how many seconds the whole channel is to rest, where
        its service asked for that."""
        now = time.monotonic()
        self.attempts += 1
        if self._tried_since is None:
            self._tried_since = now
        line: dict[str, Any] = {
            "event_id": self.delivery.event_id,
            "channel": self.delivery.channel,
            "to": self.delivery.to,
            "state": outcome["state"],
            "attempts": self.attempts,
            "at": clock.now(),
            "answer": outcome["answer"],
        }
        if outcome["state"] == LATER:
            self.ready_at = now + self._rest_s(outcome)
            line["state"] = GIVEN_UP if now - self._tried_since >= delivered.GIVE_UP_S else FAILED
        if line["state"] == FAILED:
            line["next_at"] = clock.stamp(time.time() + self.ready_at - now)
        else:
            self.done = True
        if outcome.get("memory"):
            line["memory"] = self.memory[self.delivery.channel] = outcome["memory"]
        try:
            outbox.record(self.run, line)
        except OSError as error:  # on a full disk people are told all the same
            print(f"not recorded ({error}): {self.delivery}", file=sys.stderr)
        asked: Optional[float] = outcome.get("retry_after_s")
        return None if asked is None else self.ready_at - now

    def _rest_s(self, outcome: dict[str, Any]) -> float:
        chance = int.from_bytes(os.urandom(4), "big") / (1 << 32)
        return delivered.rest_s(self.attempts, chance, outcome.get("retry_after_s"))

    def job(self) -> dict[str, Any]:
        """What a `Sender` is given."""
        return {
            "project": self.run.project,
            "label": self.run.label,
            "run_id": self.run.run_id,
            "delivery": self.delivery.to_dict(),
            "memory": self.memory.get(self.delivery.channel, {}),
            "stalled": self.stalled,
        }


class _Lane:
    def __init__(self) -> None:
        self.sender: Optional[Sender] = None
        self.under_way: Optional[Letter] = None
        self.rests_until = 0.0

    def close(self) -> None:
        if self.sender:
            self.sender.end()
        self.sender = None


class Lanes:
    """All channels' lanes."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._lanes: dict[str, _Lane] = {}

    @property
    def fds(self) -> list[int]:
        """Where answers come from."""
        return [lane.sender.fd for lane in self._lanes.values() if lane.sender and lane.under_way]

    def post(self, letters: Iterable[Letter], settings: HostSettings) -> Optional[float]:
        """Give what is ready to channels that are free; when to come again, None where only an
        answer or a new letter can change anything."""
        queues: dict[str, list[Letter]] = {}
        for letter in letters:
            if not letter.done:
                queues.setdefault(letter.delivery.channel, []).append(letter)
        for name in queues:
            self._lanes.setdefault(name, _Lane())
        again = [self._advance(lane, queues.get(n, []), settings, n) for n, lane in self._lanes.items()]
        return min((at for at in again if at is not None), default=None)

    def _advance(
        self, lane: _Lane, queue: list[Letter], settings: HostSettings, name: str
    ) -> Optional[float]:
        channel = settings.channels.get(name)
        if lane.sender and lane.under_way:
            return lane.sender.deadline
        first = min(_heads(queue), key=lambda letter: letter.ready_at, default=None)
        if first is None or channel is None:
            lane.close()
            return None
        at = max(first.ready_at, lane.rests_until)
        if at > time.monotonic():
            lane.close()
            return at
        if lane.sender and lane.sender.channel != channel:
            lane.close()
        try:
            lane.sender = lane.sender or Sender(self._home, channel, settings.variables)
        except OSError as error:  # no further process: not an attempt
            print(f"no process to send with: {error}", file=sys.stderr)
            return time.monotonic() + delivered.FIRST_REST_S
        lane.under_way = first
        lane.sender.give(first.job())
        return lane.sender.deadline

    def take(self, readable: Iterable[int]) -> list[Letter]:
        """The letters of which it is now known what became; recorded."""
        known, now = [], time.monotonic()
        for lane in self._lanes.values():
            sender, letter = lane.sender, lane.under_way
            if sender is None or letter is None:
                continue
            outcome = sender.take() if sender.fd in readable else None
            if outcome is None and sender.deadline is not None and now >= sender.deadline:
                outcome = {"state": LATER, "answer": f"no answer within {MOST_S:g} s"}
            if outcome is None:
                continue
            if outcome["state"] == LATER:
                lane.close()
            lane.under_way = None
            asked = letter.conclude(outcome)
            if asked is not None:
                lane.rests_until = now + asked
            known.append(letter)
        return known

    def hurry(self, letters: Iterable[Letter]) -> None:
        """Settings were mended: what failed is tried at once."""
        for lane in self._lanes.values():
            lane.rests_until = 0.0
        for letter in letters:
            letter.ready_at = 0.0

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


def _heads(queue: list[Letter]) -> list[Letter]:
    """The letters that are next: of a run and a recipient, the first thing that happened is told
    first. A new one has the first one tried again at once."""
    heads: dict[tuple[str, str], Letter] = {}
    for letter in queue:
        head = heads.setdefault((letter.run.root, letter.delivery.to), letter)
        if letter.is_news:
            letter.is_news, head.ready_at = False, 0.0
    return list(heads.values())
