"""What an experiment is, and how its tries are counted."""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaign.lab import Lab

LONGEST_TRY_S = 180.0
SHOWN = 3  # failures of one experiment that are told in full


class Skip(Exception):
    """This machine lacks a means; the message says which."""


class Experiment(NamedTuple):
    """`full` tries in the whole campaign, `short` in the short one. `body(lab, tally)` makes
    `tally.wanted` of them; `most_s`: what the slowest may take, in seconds."""

    name: str
    full: int
    short: int
    body: Callable[[Lab, Tally], None]
    most_s: float | None = None


class Tally:
    """How far an experiment is. `wanted` tries; `failures` in words; `worst_s` of what was timed."""

    def __init__(self, experiment: Experiment, wanted: int, seed: int) -> None:
        self.experiment, self.wanted = experiment, wanted
        self.done = 0
        self.failures: list[str] = []
        self.worst_s: float | None = None
        self.skipped = ""
        self._seed, self._lock, self._told_at = seed, threading.Lock(), 0.0

    def chance(self, number: int = -1) -> random.Random:
        """What chance decides in this try: the same for the same seed, whatever else goes on."""
        return random.Random(f"{self._seed} {self.experiment.name} {number}")

    def did(self, tries: int = 1) -> None:
        with self._lock:
            self.done += tries
            if time.monotonic() - self._told_at > 1 or self.done >= self.wanted:
                self._told_at = time.monotonic()
                self.tell(f"{self.done} of {self.wanted}")

    def tell(self, what: str) -> None:
        """How far it is, on stderr: one line that is written over where a person looks on."""
        line = f"{self.experiment.name}: {what}, {len(self.failures)} failures"
        terminal = sys.__stderr__
        if terminal and terminal.isatty():
            print(f"\r\x1b[K{line}", end="", file=terminal, flush=True)

    def failed(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
            if len(self.failures) <= SHOWN:
                print(f"\n{self.experiment.name}: FAILED: {what}", file=sys.stderr, flush=True)

    def took(self, seconds: float) -> None:
        with self._lock:
            self.worst_s = max(seconds, self.worst_s or 0.0)

    @property
    def is_good(self) -> bool:
        most_s = self.experiment.most_s
        slow = most_s is not None and (self.worst_s is None or self.worst_s > most_s)
        return bool(self.skipped) or (self.done >= self.wanted and not self.failures and not slow)

    def spread(self, one: Callable[[int, random.Random], None], workers: int = 4) -> None:
        """`one(number, chance)` for every try, several at a time. A try that raises has failed, and so
        has one that does not come back."""
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(self.wanted):
            numbers.put(number)
        began: dict[int, tuple[int, float]] = {}
        threads = [
            threading.Thread(target=self._work, args=(one, numbers, began), daemon=True)
            for _ in range(min(workers, self.wanted))
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
            now = time.monotonic()
            late = [number for number, since in list(began.values()) if now - since > LONGEST_TRY_S]
            if late:
                self.failed(f"tries {late} did not come back within {LONGEST_TRY_S:.0f} s")
                return

    def _work(
        self,
        one: Callable[[int, random.Random], None],
        numbers: queue.SimpleQueue[int],
        began: dict[int, tuple[int, float]],
    ) -> None:
        me = threading.get_ident()
        while True:
            try:
                number = numbers.get_nowait()
            except queue.Empty:
                began.pop(me, None)
                return
            began[me] = (number, time.monotonic())
            try:
                one(number, self.chance(number))
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                self.failed(f"try {number}: {type(error).__name__}: {error} ({where.name}:{where.lineno})")
            self.did()
