"""How many runs are at work at once on this machine (`max_running`), and whose turn it is.

    slots.<machine>/
      number        flocked for an instant by whoever comes or goes on; holds the last number given
      waiting/<n>   flocked by a supervisor while its run waits for a slot
      running/<n>   flocked by supervisor and wrapper while its run has one

First come, first served, over all projects and labels of a home. No daemon and no polling: a
waiter sleeps in flock(2) on the waiter ahead of it; the first of all sleeps in inotify on those that
run. Who dies is out of the order at once, because the kernel frees what it held.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys

from dobby.agent import clock, durable, inotify, locks
from dobby.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

WAITING, RUNNING = "waiting", "running"
DEAF_S = 1.0  # between looks where the system tells of nothing (macOS), or has no more watches
_LOOKS_S = (0.002, 0.02, 0.1, 1.0)  # the kernel tells of a close before it frees the lock
_END = inotify.CLOSE_WRITE | inotify.DELETE
_CHANGED = inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.DELETE


def position(home: str, number: int) -> int:
    """1 for the waiter whose turn is next."""
    waiting = _numbers(f"{layout.slots(home, clock.machine_id())}/{WAITING}")
    return 1 + sum(other < number for other in waiting)


class Place:
    """A run's place in the order in which runs came. `limit` is `max_running`, None where there is
    none; it is read again whenever something changes."""

    def __init__(self, home: str, limit: Optional[int]) -> None:
        self._home, self._limit = home, limit
        self._root = layout.slots(home, clock.machine_id())
        self._held: dict[str, int] = {}
        for name in (WAITING, RUNNING):
            durable.make_dirs(f"{self._root}/{name}")
        fd = self._lock()
        try:
            noted = os.pread(fd, 32, 0).strip()
            self.number = 1 + (int(noted) if noted.isdigit() else self._highest())
            os.pwrite(fd, b"%020d\n" % self.number, 0)
        finally:
            locks.release(fd)

    def take(self, on_wait: Callable[[int], Any]) -> None:
        """Return once the run has a slot. Where it has to wait, `on_wait(max_running)` is called
        once it stands in line."""
        if self._try():
            return
        on_wait(self._limit or 0)
        while not self._try_in_turn():
            continue

    def pass_on(self) -> None:
        """It is the next one's turn to look: what this run does first is on record."""
        self._let_go(WAITING)

    def leave(self) -> None:
        """Let go, also of what the wrapper has inherited."""
        for name in tuple(self._held):
            self._let_go(name)

    def _try_in_turn(self) -> bool:
        """False where another one is ahead; it is gone afterwards."""
        ahead = self._ahead()
        if ahead is not None:
            _await_end(self._path(WAITING, ahead))
            return False
        changes = _Changes(self._home, f"{self._root}/{RUNNING}")
        try:
            while not self._read_and_try():
                if self._ahead() is not None:  # of a label that was held until now
                    return False
                changes.wait()
            return True
        finally:
            changes.close()

    def _read_and_try(self) -> bool:
        from dobby.agent import admission
        from dobby.core.errors import DobbyError

        try:
            self._limit = admission.read_settings(self._home).max_running
        except DobbyError as error:  # somebody is at work on it: until then what it said last holds
            print(f"max_running is as it was: {error.message}", file=sys.stderr)
        return self._try()

    def _try(self) -> bool:
        """Whether the run has its slot; else it stands in line."""
        fd = self._lock()
        try:
            self._sweep()
            running, limit = len(_numbers(f"{self._root}/{RUNNING}")), self._limit
            if limit is not None and (self._ahead() is not None or running >= limit):
                self._hold(WAITING)
                return False
            self._hold(RUNNING)
            return True
        finally:
            locks.release(fd)

    def _sweep(self) -> None:
        """Remove what the dead have left. The caller holds `number`, under which alone these files
        are made."""
        for name in (RUNNING, WAITING):
            for number in _numbers(f"{self._root}/{name}"):
                path = self._path(name, number)
                if number != self.number and not locks.is_held(path):
                    durable.discard(path)

    def _lock(self) -> int:
        fd = locks.take(f"{self._root}/number", wait=True)
        assert fd is not None  # noqa: S101 - it waited
        return fd

    def _hold(self, name: str) -> None:
        if name not in self._held:
            fd = locks.take(self._path(name, self.number), wait=True)
            assert fd is not None  # noqa: S101 - it waited
            self._held[name] = fd

    def _let_go(self, name: str) -> None:
        fd = self._held.pop(name, None)
        if fd is not None:
            durable.discard(self._path(name, self.number))
            locks.release(fd)

    def _path(self, name: str, number: int) -> str:
        return f"{self._root}/{name}/{number:020d}"

    def _ahead(self) -> Optional[int]:
        """The waiter next before this one."""
        lower = (n for n in _numbers(f"{self._root}/{WAITING}") if n < self.number)
        alive = (n for n in sorted(lower, reverse=True) if locks.is_held(self._path(WAITING, n)))
        return next(alive, None)

    def _highest(self) -> int:
        """Where the note of the last number was damaged."""
        return max(n for name in (WAITING, RUNNING) for n in (0, *_numbers(f"{self._root}/{name}")))


class _Changes:
    """Sleeps until a run has ended, or the host's settings have changed, or may have."""

    def __init__(self, home: str, running: str) -> None:
        self._settings = os.path.basename(layout.settings(home))
        self._looks = list(_LOOKS_S)
        self._fd = inotify.new()
        self._of_running = inotify.add(self._fd, running, _END) if self._fd >= 0 else -1
        self._of_home = inotify.add(self._fd, home, _CHANGED) if self._fd >= 0 else -1

    def wait(self) -> None:
        while True:
            rest = self._looks.pop(0) if self._looks else None
            if min(self._of_running, self._of_home) < 0:
                rest = DEAF_S
            if not select.select([self._fd] if self._fd >= 0 else [], [], [], rest)[0]:
                return
            events = inotify.read(self._fd)
            if any(event.watch != self._of_home or event.name == self._settings for event in events):
                self._looks = list(_LOOKS_S)
                return

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _await_end(path: str) -> None:
    """Sleep until nobody holds the lock at `path`. It is not made anew where it was removed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _numbers(folder: str) -> list[int]:
    return [int(name) for name in durable.names(folder) if name.isdigit()]
