"""A look at a job's sandbox before its launch has arrived: git walks through the files here while the
laptop's git walks through its own, and the agent imports what a launch needs.

What was seen is no promise. It counts if, once the launch has the label, no run has had it in between,
git's own files in the sandbox are as they were then, and it is not old: a shell that somebody has open
there asks for no label. Else all is looked at again. Nothing is forked for it but git: where both
processors are taken, a further process is what is waited for.
"""

from __future__ import annotations

import os
import select
import time

from dobby.agent import (
    conclude,
    durable,
    gitdir,
    hostgit,
    locks,
    lodged,
    sandbox_refs,
    signal,
    spare,
    store,
    trees,
    worktree,
)
from dobby.agent.steps import Steps
from dobby.core import json, layout
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.wire import Wire
    from dobby.agent.worktree import Answers, Asked

FRESH_S = 10.0  # a laptop may send for minutes
_AT_ONCE_S = 0.001  # 0 is never
LONGEST_S = 30.0  # others may want the label; git waits for ever where a job left a FIFO as .gitattributes


class Glance:
    """What git is finding out at `top`, under a look at the label's lock: whoever has that has what was
    seen. `lock` is None, and `holder` "", for a spare. What git complains of goes to `log_fd`."""

    def __init__(self, top: str, holder: str, lock: Optional[int], log_fd: int, asked: Asked) -> None:
        self._top, self._holder, self._lock, self._log_fd = top, holder, lock, log_fd
        self._listing = asked[-1][1]
        self._untouched = True
        self._pids = [pid for pid, _ in asked]
        self._said = {out: bytearray() for _, out in asked}
        self._open = set(self._said)
        self._until = time.monotonic() + LONGEST_S
        self._seen = b""

    def attend(self, wire: Wire) -> None:
        """Be done with it as soon as git is, as long as the caller says nothing. What it says then may be
        cut in its midst, and be read for ever: time ends the look also then."""
        if wire.is_silent():
            self._hear(wire.fd)
        if self._pids:
            signal.signal(signal.SIGALRM, lambda *_: self.drop())
            signal.setitimer(signal.ITIMER_REAL, max(_AT_ONCE_S, self._until - time.monotonic()))

    def read(self) -> bytes:
        """All of it, for `answers`; b"" where there is nothing to rely upon. Nobody is kept from the label
        from here on."""
        self._hear(None)
        return self._seen

    def drop(self) -> None:
        """It is of no use (any more)."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._pids:
            for pid in self._pids:
                os.kill(pid, signal.SIGTERM)  # not waited for yet; git takes its own locks away
            self._end()

    def _hear(self, caller: Optional[int]) -> None:
        """Take in what git says, to its end, or until `caller` can be read."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        poll = select.poll()
        for fd in self._open if caller is None else (*self._open, caller):
            poll.register(fd, select.POLLIN)
        while self._open:
            ready = poll.poll(max(0.0, self._until - time.monotonic()) * 1000)
            if not ready:
                self.drop()
            for fd, _ in ready:
                if fd == caller:
                    return
                part = os.read(fd, 1 << 20)
                self._said[fd] += part
                if not part:
                    poll.unregister(fd)
                    self._open.discard(fd)
                    if fd == self._listing and self._lock is None:
                        self._untouched = self._is_untouched()  # meanwhile git looks at the files
        if self._pids:
            complained = os.fstat(self._log_fd).st_size
            at, state = time.monotonic(), _now(self._top, self._holder)
            if not any(self._end()) and state and not complained and self._untouched:
                line = {"at": at, "state": state, "sizes": [*map(len, self._said.values())]}
                self._seen = b"".join([durable.dump_json(line), *self._said.values()])

    def _is_untouched(self) -> bool:
        try:
            finished_ns = gitdir.finished_ns(os.fsencode(f"{self._top}/.git"))
        except OSError:
            return False
        listed = bytes(self._said[self._listing])
        return worktree.is_untouched(os.fsencode(self._top), listed, finished_ns)

    def _end(self) -> list[int]:
        """Let go of all that is held; how the gits have ended."""
        ended = [os.waitpid(pid, 0)[1] for pid in self._pids]
        for fd in (*self._said, self._log_fd, self._lock):
            if fd is not None:
                os.close(fd)
        self._pids, self._open = [], set()
        return ended


def answers(seen: bytes, job: layout.Job, previous: str) -> Optional[Answers]:
    """What git has said of what is the job's sandbox now. The caller holds the label's lock, as the first
    one since the run `previous`. None where git has to be asked again."""
    line, _, rest = seen.partition(b"\n")
    told: dict[str, Any] = json.loads(line) if line else {}
    if not told or time.monotonic() > told["at"] + FRESH_S or told["state"] != _now(job.sandbox, previous):
        return None
    at, found = 0, []
    for size in told["sizes"]:
        found.append((0, rest[at : at + size]))
        at += size
    return found if at == len(rest) else None


def begin(home: str, ahead: bytes) -> Optional[Glance]:
    """Look at what `ahead` (`protocol.dump_ahead`) names; None where nothing is there, or git might not be
    safe to start there. What goes wrong will go wrong again, and be told then."""
    lock: Optional[int] = None
    try:
        told = json.loads(ahead)
        job = store.canonical(home, told["project"], told["label"])
        top, is_spare = job.sandbox, not os.path.isdir(job.sandbox)
        if is_spare:  # nobody can keep another label from taking it: then it is not what the job gets
            top = spare.at(job.of_project)
            spare.settle(top)
        else:
            lock = locks.look(job.lock)
        begun = None
        if (is_spare or lock is not None) and _is_safe(job, top, told["origin"], told["object_format"]):
            begun = _ask(job, top, lock)
    except (AttributeError, OSError, DobbyError, KeyError, TypeError, ValueError):
        begun = None
    if begun is None and lock is not None:
        os.close(lock)
    return begun


def _is_safe(job: layout.Job, at: str, origin: str, object_format: str) -> bool:
    """Whether git may be started there as it is, and would see all as the job's next run will."""
    git_dir = os.fsencode(f"{at}/.git")
    wanted = gitdir.Wanted(
        commit="",
        branch="",
        objects=f"{job.of_project.cache}/objects",
        object_format=object_format,
        origin=origin,
    )
    if not gitdir.is_as_left(git_dir, wanted) or lodged.paths(job):
        return False
    return sandbox_refs.Refs(git_dir).head_commit() is not None  # else all files would seem to be new


def _ask(job: layout.Job, at: str, lock: Optional[int]) -> Glance:
    """Without a lock it is a spare."""
    log_fd = os.memfd_create("said")
    try:
        steps = Steps(hostgit.env_of(job.home), log_fd, lambda *_: None)
        tree = worktree.Worktree(os.fsencode(at), os.fsencode(f"{at}/.git"), steps)
        asked = tree.begin_to_ask_unused() if lock is None else tree.begin_to_ask()
        return Glance(at, conclude.read_holder(job), lock, log_fd, asked)
    except BaseException:
        os.close(log_fd)
        raise


def _now(at: str, holder: str) -> Optional[list[Any]]:
    """`_state`; None where it cannot be told, which whoever puts the sandbox right will mend."""
    try:
        return _state(at, holder)
    except OSError:
        return None


def _state(at: str, holder: str) -> list[Any]:
    """Changes when a run had the label, or git has written there."""
    git_dir = os.fsencode(f"{at}/.git")
    found = trees.lstat(os.fsencode(at))
    top = [found.st_dev, found.st_ino] if found else []
    head = sandbox_refs.Refs(git_dir).head_commit()  # by a branch's file as well
    names = (b"HEAD", b"index", b"config", b"packed-refs")
    return [holder, top, head, *(gitdir.stamp_of(git_dir + b"/" + name) for name in names)]
