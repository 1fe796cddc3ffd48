"""A look at a job's sandbox before its launch has arrived: git walks through the files here while the
laptop's git walks through its own.

What was seen is no promise. It counts if, once the launch has the label, no run has had it in between,
git's own files in the sandbox are as they were then, and it is not old: a shell that somebody has open
there asks for no label. Else all is looked at again. Imports stand where they are used: what a launch needs
as well is imported before the process that looks is forked (main.py).
"""

from __future__ import annotations

import os
import time

from dobby.agent import signal
from dobby.core import json, layout
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.worktree import Answers

FRESH_S = 10.0  # a laptop may send for minutes
LONGEST_S = 30  # others may want the label; git waits for ever where a job left a FIFO as .gitattributes


class Glance:
    """What a process of its own is finding out, under a look at the label's lock: whoever has that has
    what was seen."""

    def __init__(self, fd: int, pid: int) -> None:
        self._fd, self._pid = fd, pid

    def read(self) -> bytes:
        """All of it, for `answers`; b"" where there is nothing to rely upon."""
        parts = []
        while part := os.read(self._fd, 1 << 20):
            parts.append(part)
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:  # of the agent whose child we are
            pass
        return b"".join(parts)

    def drop(self) -> None:
        """It is of no use (any more): the process ends when it has nobody to tell."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def answers(seen: bytes, job: layout.Job, previous: str) -> Optional[Answers]:
    """What git has said of what is the job's sandbox now. The caller holds the label's lock, as the first
    one since the run `previous`. None where git has to be asked again."""
    line, _, rest = seen.partition(b"\n")
    told: dict[str, Any] = json.loads(line) if line else {}
    if not told or time.monotonic() > told["at"] + FRESH_S or told["state"] != _now(job, previous):
        return None
    at, found = 0, []
    for size in told["sizes"]:
        found.append((0, rest[at : at + size]))
        at += size
    return found if at == len(rest) else None


def begin(home: str, ahead: bytes) -> Optional[Glance]:
    """Look at what `ahead` (`protocol.dump_ahead`) names; None where nothing was said, or is there."""
    if not ahead or not _is_there(home, ahead):
        return None
    out, sink = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # the launch itself will say so, if it still is so
        os.close(out)
        os.close(sink)
        return None
    if pid == 0:
        try:
            os.close(out)
            _look(home, json.loads(ahead), sink)
        finally:
            os._exit(0)
    os.close(sink)
    return Glance(out, pid)


def _is_there(home: str, ahead: bytes) -> bool:
    """Whether there is anything to look at, by the name as it is given: a fork in vain costs 5 ms."""
    try:
        told = json.loads(ahead)
        job = layout.Job(home=home, project=told["project"], label=told["label"])
        return os.path.isdir(job.sandbox) or os.path.isdir(_spare_of(job))
    except (ValueError, KeyError, TypeError, DobbyError):
        return False


def _spare_of(job: layout.Job) -> str:
    from dobby.agent import spare

    return spare.at(job.of_project)


def _look(home: str, told: dict[str, Any], sink: int) -> None:
    """Nothing of the connection's is held open; what goes wrong will go wrong again, and be told then."""
    from dobby.agent import conclude, durable, locks, spare, store

    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    _end_in_time()
    try:
        job = store.canonical(home, told["project"], told["label"])
        top, lock = job.sandbox, locks.look(job.lock)
        is_spare = not os.path.isdir(top)
        if is_spare:  # nobody can keep another label from taking it: then it is not what the job gets
            top = _spare_of(job)
            spare.settle(top)
        elif lock is None:
            return
        found = _ask(job, top, told["origin"], told["object_format"], writes=not is_spare)
        if found is None:
            return
        line = {
            "at": time.monotonic(),
            "state": _state(top, conclude.read_holder(job)),
            "sizes": [len(data) for _, data in found],
        }
        if lock is not None:
            os.close(lock)
        durable.write_all(sink, b"".join([durable.dump_json(line), *(data for _, data in found)]))
    except (OSError, DobbyError, KeyError, ValueError):
        return


def _end_in_time() -> None:
    """With the git that was started: nobody else would end them."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
    signal.alarm(LONGEST_S)


def _ask(job: layout.Job, at: str, origin: str, object_format: str, writes: bool) -> Optional[Answers]:
    """None where git might not be safe to start there, or has anything to complain of. `writes`: it may
    keep what it finds in its index."""
    from dobby.agent import gitdir, hostgit, lodged, sandbox_refs, worktree
    from dobby.agent.steps import Steps

    top, git_dir = os.fsencode(at), os.fsencode(f"{at}/.git")
    wanted = gitdir.Wanted(
        commit="",
        branch="",
        objects=f"{job.of_project.cache}/objects",
        object_format=object_format,
        origin=origin,
    )
    if not gitdir.is_as_left(git_dir, wanted) or lodged.paths(job):
        return None
    if sandbox_refs.Refs(git_dir).head_commit() is None:  # all files would seem to be new
        return None
    log_fd = os.memfd_create("said")
    steps = Steps(hostgit.env_of(job.home), log_fd, lambda *_: None)
    found = worktree.Worktree(top, git_dir, steps).ask(writes)
    return None if any(code for code, _ in found) or os.fstat(log_fd).st_size else found


def _now(job: layout.Job, holder: str) -> Optional[list[Any]]:
    """`_state`; None where it cannot be told, which whoever puts the sandbox right will mend."""
    try:
        return _state(job.sandbox, holder)
    except OSError:
        return None


def _state(at: str, holder: str) -> list[Any]:
    """Changes when a run had the label, or git has written there."""
    from dobby.agent import gitdir, sandbox_refs, trees

    git_dir = os.fsencode(f"{at}/.git")
    found = trees.lstat(os.fsencode(at))
    top = [found.st_dev, found.st_ino] if found else []
    head = sandbox_refs.Refs(git_dir).head_commit()  # by a branch's file as well
    names = (b"HEAD", b"index", b"config", b"packed-refs")
    return [holder, top, head, *(gitdir.stamp_of(git_dir + b"/" + name) for name in names)]
