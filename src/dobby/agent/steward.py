"""The steward: tells people how runs went, and settles runs whose supervisor died.

One for each account and machine (flock). It sleeps in one poll: inotify tells of new runs and of
what happens to those it knows; there are timers for what is to be tried again, for silent runs and
for what nobody carries, and otherwise no wake-up. It leaves when all is final and told.
"""

from __future__ import annotations

import os
import select
import sys
import time

from dobby.agent import (
    admission,
    conclude,
    durable,
    inotify,
    locks,
    outbox,
    processes,
    rows,
    stewards,
    stopping,
    trouble,
)
from dobby.agent.bell import Bell
from dobby.agent.lanes import Lanes
from dobby.agent.tracked import Tracked
from dobby.core import layout
from dobby.core.errors import DobbyError
from dobby.core.host_settings import HostSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

LEAVE_S = 10.0  # after the last run is final and told
DEAF_S = 1.0  # between looks where the system tells of nothing (macOS), or has no more watches
TROUBLED_S = 30.0  # after the disk would not let a run be read
LAST_WORDS_S = 3.0  # for a delivery that is under way when the steward is to go
_FILES = inotify.CLOSE_WRITE | inotify.MOVED_TO
# Of a run: names in its directory, and two files that are written in place. To watch all files there
# would slow each write of the command to its log (watch.py).
_RUN = inotify.MOVED_TO | inotify.CREATE | inotify.DELETE_SELF


def run(home: str, ready: Callable[[], Any]) -> None:
    """Be the steward until there is nothing left to do. `ready` is called once one lives: we, or
    another that has the lock."""
    bell = Bell()
    fd = locks.take(stewards.lock_of(home), wait=False)
    if fd is None:
        ready()
        return
    processes.name_self("dobby-steward")
    trouble.never_fails()
    steward = Steward(home, bell)
    while fd is not None:
        _sign(fd)
        steward.serve(ready)
        locks.release(fd)
        # Whoever marked a run before this moment may have counted on us.
        fd = locks.take(stewards.lock_of(home), wait=False) if steward.is_wanted() else None


def _sign(fd: int) -> None:
    """Say in the lock's file who holds it, if there is room: the lock alone decides."""
    try:
        data = durable.dump_json(processes.identify(os.getpid()).to_dict())
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    except OSError as error:
        print(f"the lock does not say who holds it: {error}", file=sys.stderr)


class Steward:
    """Serves all runs that are marked in the outbox of `home`."""

    def __init__(self, home: str, bell: Bell) -> None:
        self._home, self._bell = home, bell
        self._runs: dict[layout.Run, Tracked] = {}
        self._passed_over: set[layout.Run] = set()  # not readable by this version
        self._lanes = Lanes(home)
        self._settings: Optional[HostSettings] = None
        self._fd = inotify.new()
        self._deaf = self._fd < 0
        durable.make_dirs(layout.outbox(home))
        self._of_outbox = self._listen(layout.outbox(home), _FILES)
        self._of_home = self._listen(home, _FILES)

    def is_wanted(self) -> bool:
        """Whether runs wait in the outbox; not where we are told to go."""
        return not self._bell.rung and bool(set(outbox.runs(self._home)) - self._passed_over)

    def serve(self, ready: Callable[[], Any]) -> None:
        """Returns when there was nothing to do for LEAVE_S, or a signal told us to go."""
        self._read_settings()
        self._find()
        ready()
        idle_since: Optional[float] = None
        while not self._bell.rung:
            self._look_where_due()
            letters = [letter for one in self._runs.values() for letter in one.letters.values()]
            again = [self._lanes.post(letters, self._settings or HostSettings())]
            again += [one.look_at for one in self._runs.values()]
            if self._runs:
                idle_since = None
            else:
                idle_since = time.monotonic() if idle_since is None else idle_since
                if time.monotonic() >= idle_since + LEAVE_S:
                    return
                again.append(idle_since + LEAVE_S)
            self._sleep(min((at for at in again if at is not None), default=None))
        self._say_last_words()

    # --- what happens ------------------------------------------------------------------------

    def _sleep(self, until: Optional[float]) -> None:
        if self._deaf and self._runs:
            until = min(until or time.monotonic() + DEAF_S, time.monotonic() + DEAF_S)
        fds = [self._bell.fd, *self._lanes.fds, *([self._fd] if self._fd >= 0 else [])]
        rest = None if until is None else max(0.0, until - time.monotonic())
        ready = select.select(fds, [], [], rest)[0]
        for letter in self._lanes.take(ready):
            self._look_soon(letter.run)
        if self._fd in ready:
            self._hear()
        if self._deaf:
            self._find()
            for tracked in self._runs.values():
                tracked.look_at = 0.0

    def _hear(self) -> None:
        by_watch = {watch: tracked for tracked in self._runs.values() for watch in tracked.watches}
        for event in inotify.read(self._fd):
            tracked = by_watch.get(event.watch)
            if event.mask & inotify.IGNORED:  # a run is being removed: there is nothing to settle
                continue
            if event.watch == self._of_outbox:
                self._find()
            elif event.watch == self._of_home:
                if event.name == layout.settings(self._home).rpartition("/")[2]:
                    self._read_settings()
            elif event.watch < 0:  # more happened than the kernel could keep
                self._find()
                for one in self._runs.values():
                    one.doubt()
            elif tracked is not None and event.watch == tracked.watches[-1]:
                tracked.doubt()
            elif tracked is not None and event.name != "notices.jsonl":
                tracked.changed()

    def _look_soon(self, run: layout.Run) -> None:
        if run in self._runs:
            self._runs[run].look_at = 0.0

    def _listen(self, path: str, mask: int) -> int:
        watch = inotify.add(self._fd, path, mask) if self._fd >= 0 else -1
        if watch < 0 and os.path.lexists(path):
            self._deaf = True
        return watch

    # --- settings and runs ---------------------------------------------------------------------

    def _read_settings(self) -> None:
        """Where they cannot be read, nobody is told anything until they are mended."""
        try:
            self._settings = admission.read_settings(self._home)
        except (DobbyError, OSError) as error:
            self._settings = None
            print(f"nobody can be told of any run: {error}", file=sys.stderr)
        for tracked in self._runs.values():
            tracked.look_at = 0.0
            self._lanes.hurry(letter for letter in tracked.letters.values() if not letter.done)

    def _find(self) -> None:
        for run in outbox.runs(self._home):
            if run not in self._runs and run not in self._passed_over:
                written = [self._listen(path, inotify.CLOSE_WRITE) for path in (run.events, run.lock)]
                self._runs[run] = Tracked(run, [self._listen(run.root, _RUN), *written])

    def _forget(self, run: layout.Run) -> None:
        for watch in self._runs.pop(run).watches:
            if watch >= 0:
                inotify.remove(self._fd, watch)

    def _look_where_due(self) -> None:
        now = time.monotonic()
        for tracked in list(self._runs.values()):
            if tracked.look_at is not None and tracked.look_at <= now:
                self._look(tracked)

    def _look(self, tracked: Tracked) -> None:
        """Settle the run if nobody carries it, and see what is to be told of it."""
        run = tracked.run
        try:
            stored = rows.look(run)
            if stored is not None:
                stored = stopping.end_overdue(stored)
        except DobbyError as error:  # `list` names it; the marker stays for a version that can read it
            print(f"passed over: {error.message}", file=sys.stderr)
            self._passed_over.add(run)
            self._forget(run)
            return
        except OSError as error:
            print(f"run {run.run_id}: {error}", file=sys.stderr)
            tracked.look_at = time.monotonic() + TROUBLED_S
            return
        if stored is None:
            outbox.remove(run)
            self._forget(run)
        elif not conclude.is_of_here(stored):
            self._passed_over.add(run)
            self._forget(run)
        elif self._settings is None:
            tracked.look_at = time.monotonic() + TROUBLED_S
        elif tracked.update(stored, self._settings):
            outbox.remove(run)
            self._forget(run)

    def _say_last_words(self) -> None:
        """Record what is under way, if it comes soon."""
        deadline = time.monotonic() + LAST_WORDS_S
        while self._lanes.fds and time.monotonic() < deadline:
            ready = select.select(self._lanes.fds, [], [], deadline - time.monotonic())[0]
            self._lanes.take(ready)
        self._lanes.close()
