"""That there is a steward whenever there is something for one to do.

Started on demand: by a launch before it acknowledges, by every contact, and by each supervisor
that sees it die. Its lock says whether it lives; there is one for each machine that shares a home.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time

from dobby.agent import clock, durable, inotify, locks, outbox, signal, trouble
from dobby.core import json, layout, protocol
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

PATIENCE_S = 30.0
APART_S = 20.0  # between two stewards that a supervisor starts: one may die at every start
_LOOKS_S = (0.0, 0.002, 0.02, 0.1)  # the kernel tells of the close before it frees the lock


def lock_of(home: str) -> str:
    return layout.steward_lock(home, clock.machine_id())


def is_needed(home: str) -> bool:
    """Whether something waits for a steward, and none lives."""
    return not outbox.is_empty(home) and not locks.is_held(lock_of(home)) and bool(outbox.runs(home))


def ensure(home: str) -> None:
    """Return once a steward lives, or nothing waits for one. Raises DobbyError."""
    if not is_needed(home):
        return
    ready_fd = begin(home, scoped=True)
    try:
        lives = select.select([ready_fd], [], [], PATIENCE_S)[0] and os.read(ready_fd, 1)
    finally:
        os.close(ready_fd)
    if not lives and is_needed(home):
        said = durable.read(layout.steward_trouble(home, clock.machine_id())) or b""
        last = (said.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise DobbyError(
            f"the steward, which tells how runs went, did not start on {os.uname().nodename}: {last}",
            "a run that was asked for goes on; repeat the command with its --run-id to see",
        )


def call(home: str) -> None:
    """Have one started where one is needed, without waiting for it. Every contact does so; it must
    not fail for that."""
    try:
        if is_needed(home):
            os.close(begin(home, scoped=True))
    except (OSError, DobbyError) as error:
        print(f"no steward could be started: {error}", file=sys.stderr)


def begin(home: str, *, scoped: bool) -> int:
    """Start a steward; the descriptor gives a byte once one lives, and ends without where none came
    to be. `scoped`: in a scope of its own, where the account has a user manager; a supervisor's
    own is as good."""
    ready_r, ready_w = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(ready_r)
        os.close(ready_w)
        raise DobbyError(
            f"{os.uname().nodename} could not start a process: {error.strerror}",
            "the account may have reached its limit of processes (ulimit -u)",
        ) from None
    if pid == 0:
        try:
            if os.fork() == 0:  # its parent is gone at once, and need not wait for it
                _detach(home, ready_w)
                _become(home, ready_w, scoped)
        except BaseException:
            trouble.tell()
        finally:
            os._exit(0)
    os.close(ready_w)
    os.waitpid(pid, 0)
    return ready_r


def _detach(home: str, ready_fd: int) -> None:
    """A session of our own; no lock and no connection of who starts us is held open."""
    os.setsid()
    os.chdir("/")
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != ready_fd:
            try:
                os.close(int(name))
            except OSError:  # the one with which the directory was read
                continue
    nothing = os.open(os.devnull, os.O_RDWR)
    path = layout.steward_trouble(home, clock.machine_id())
    trouble = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    for fd, onto in ((nothing, 0), (nothing, 1), (trouble, 2)):
        os.dup2(fd, onto)


def _become(home: str, ready_fd: int, scoped: bool) -> None:
    from dobby.agent import start

    scope = start.scope_argv(f"steward-{os.urandom(4).hex()}") if scoped else []
    if scope and _lives_in_scope(scope, home):
        start.tell_ready(ready_fd)
        return
    from dobby.agent import steward

    steward.run(home, lambda: start.tell_ready(ready_fd))


def _lives_in_scope(scope: list[str], home: str) -> bool:
    """Whether it came to life there. Else it is gone."""
    from dobby.agent import start

    ready_r, ready_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            start.exec_scoped(scope, home, protocol.dump_call("steward", {"ready_fd": ready_w}), (ready_w,))
        finally:
            os._exit(1)
    os.close(ready_w)
    try:
        if select.select([ready_r], [], [], start.SCOPE_S)[0] and os.read(ready_r, 1):
            return True
    finally:
        os.close(ready_r)
    os.kill(pid, signal.SIGKILL)  # not waited for yet, so the pid is its own
    os.waitpid(pid, 0)
    return False


# --- a supervisor's eye on it ------------------------------------------------------------------


class Guard:
    """Has a steward started when the one that lived has died: the kernel sends SIGIO when its lock
    file is closed (fcntl(2), F_SETOWN), so that this also works while a supervisor waits for its
    turn or for a step of the preparation, and wakes nobody before."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._begun: Optional[float] = None
        path = lock_of(home)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, locks.MODE))
        self._fd = inotify.new()
        if self._fd < 0 or inotify.add(self._fd, path, inotify.CLOSE_WRITE) < 0:
            return
        signal.signal(signal.SIGIO, self._look)
        signal.signal(signal.SIGALRM, self._look)
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, flags | os.O_ASYNC)

    def close(self) -> None:
        """Look no more: the run is over."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _look(self, _number: int, _frame: object) -> None:
        try:
            if self._fd >= 0:
                inotify.read(self._fd)
            if self._is_gone():
                self._replace()
        except (OSError, DobbyError) as error:
            print(f"no steward could be started: {error}", file=sys.stderr)

    def _is_gone(self) -> bool:
        for pause_s in _LOOKS_S:
            time.sleep(pause_s)
            if not locks.is_held(lock_of(self._home)):
                return True
        return False

    def _replace(self) -> None:
        dead = _recorded_pid(self._home)
        now = time.monotonic()
        if is_needed(self._home):
            if self._begun is not None and now < self._begun + APART_S:
                signal.setitimer(signal.ITIMER_REAL, self._begun + APART_S - now)
                return
            self._begun = now
            os.close(begin(self._home, scoped=False))
        _reap(dead)


def _recorded_pid(home: str) -> int:
    """The pid of the last steward, 0 where none is known."""
    try:
        return int(json.loads(durable.read(lock_of(home)) or b"{}")["pid"])
    except (ValueError, KeyError, TypeError):
        return 0


def _reap(pid: int) -> None:
    """A steward that a supervisor has started is its child."""
    try:
        if pid > 0:
            os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
