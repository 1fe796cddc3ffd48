"""What is to go leaves its place in an instant, under the job's lock; it is removed afterwards, when
the lock may be another's: a large tree takes seconds, and nobody should find the label held for that."""

from __future__ import annotations

import fcntl
import os

from dobby.agent import durable, trees
from dobby.agent.sizes import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core import layout


class Trash:
    """One bin of a job. Its flock says that somebody is at it; one that is free was left by a
    process that was killed, and is emptied by the next."""

    def __init__(self, job: layout.Job) -> None:
        self._base = job.trash
        self._path = f"{job.trash}/{os.urandom(8).hex()}"
        self._lock: Optional[int] = None
        self._taken = 0
        self._freed = 0

    def take(self, path: str) -> None:
        """The caller holds the label's lock. Nothing at `path` is fine."""
        found = trees.lstat(os.fsencode(path))
        if found is None:
            return
        try:
            if self._lock is None:
                self._lock = self._open()
            trees.move(os.fsencode(path), os.fsencode(f"{self._path}/{self._taken}"))
            self._taken += 1
        except OSError:  # a full disk has no room for a directory more; a mount cannot be renamed
            self._freed += size_of(path)
            trees.remove_tree(path)

    def _open(self) -> int:
        durable.make_dirs(self._base)
        os.mkdir(self._path, 0o700)
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def empty(self) -> int:
        """Remove what was taken, and what others left. Bytes freed."""
        if self._lock is not None:
            self._freed += _remove(self._path)
            os.close(self._lock)
            self._lock = None
        for name in durable.names(self._base):
            self._freed += _remove_left(f"{self._base}/{name}")
        try:
            os.rmdir(self._base)
        except OSError:  # never made, or another is at it
            return self._freed
        return self._freed


def _remove_left(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _remove(path)
    except BlockingIOError:  # its owner is at it
        return 0
    finally:
        os.close(fd)


def _remove(path: str) -> int:
    freed = size_of(path)
    trees.remove_tree(path)
    return freed
