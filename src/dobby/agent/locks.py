"""flock on a file: held by a living process, freed by the kernel at its death (flock(2)).

There is no stale lock and no PID file to believe. A lock is shared by all who inherited
its descriptor, and ends when the last of them has closed it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

MODE = 0o600
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


def take(path: str, *, wait: bool) -> Optional[int]:
    """A descriptor that holds the lock, None when another holds it and `wait` is false.

    The file may be removed while we wait for it (`clean`): it is opened again until what is
    locked is what stands at `path`. Raises FileNotFoundError when its directory is gone, and
    OSError where the filesystem has no locks."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        try:
            held = _lock(fd, wait)
        except BaseException:
            os.close(fd)
            raise
        if held and _is_at(fd, path):
            return fd
        os.close(fd)
        if held is False:
            return None


def _lock(fd: int, wait: bool) -> Optional[bool]:
    """True: taken. False: held by another. None: only looked at by `is_held`; try again."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _HELD:
            raise
        if not _share(fd):
            return False
        time.sleep(0.0005)
        return None
    return True


def _share(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True


def is_held(path: str) -> bool:
    """Whether a living process holds the lock; False when there is no such file."""
    fd = _open_to_look(path)
    if fd is None:
        return False
    try:
        return not _share(fd)
    finally:
        os.close(fd)


def look(path: str) -> Optional[int]:
    """A descriptor that keeps everybody from taking the lock while we only look; None where it is held,
    or there is no such file. Whoever wants it waits for us, and nobody takes us for a holder."""
    fd = _open_to_look(path)
    if fd is None or _share(fd):
        return fd
    os.close(fd)
    return None


def _open_to_look(path: str) -> Optional[int]:
    """To read: who watches the file for its holder's end (watch.py) is woken by the close of a writer,
    and must not be woken by those who only look."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None


def release(fd: int) -> None:
    """Let go at once, also of what children inherited."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def _is_at(fd: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
