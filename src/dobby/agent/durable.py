"""State files that are old or new, never torn, whatever happens in between.

Temp file, fsync, rename (or link), fsync of the directory. Success is claimed only after
the last of them. What must be written even on a full disk has its space set aside beforehand
(`reserve`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_SPARE_BYTES = 16384
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP)  # of a directory: not a thing on this filesystem
_PENDING = stat.S_ISVTX  # on a directory of ours: its name may not be durable yet


def make_dirs(path: str) -> None:
    """`path` and its parents, 0700 whatever the umask, and durable, also where another process made one
    of them and was killed before it could say so to the disk."""
    try:
        os.mkdir(path, 0o700 | _PENDING)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_dirs(os.path.dirname(path))
        make_dirs(path)
        return
    _settle_dir(path)


def _settle_dir(path: str) -> None:
    """Take the mark away once it may go. Those above come first: so none that lacks it lies below one
    that has it. /tmp has that bit too, and is not private."""
    found = os.stat(path)
    if found.st_mode & (_PENDING | 0o077) != _PENDING or found.st_uid != os.geteuid():
        return
    _settle_dir(os.path.dirname(path))
    sync_dir(os.path.dirname(path))
    os.chmod(path, 0o700)


def sync_dir(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(fd)


def write_new(path: str, data: bytes) -> None:
    """A file that must not exist yet, 0600, fsynced. Its directory is not."""
    fd = os.open(path, _WRITE | os.O_EXCL, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def replace(path: str, data: bytes) -> None:
    """Write `path` whole, durably; what stood there before is replaced."""
    temp = _temp(path)
    try:
        write_new(temp, data)
        os.rename(temp, path)
    except BaseException:
        discard(temp)
        raise
    sync_dir(os.path.dirname(path))


def write_memo(path: str, data: bytes) -> None:
    """As `replace`, of what can be found out anew: whole for all who read it, but a power cut may leave
    anything. Who reads it must bear that."""
    temp = _temp(path)
    try:
        fd = os.open(temp, _WRITE | os.O_EXCL, 0o600)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        os.rename(temp, path)
    except BaseException:
        discard(temp)
        raise


def create(path: str, data: bytes) -> bool:
    """Create `path` whole and durably, once: False when it exists already (link(2)).

    Uses the space that `reserve` set aside for it."""
    created = _create(path, data)
    sync_dir(os.path.dirname(path))
    return created


def _create(path: str, data: bytes) -> bool:
    held = _fill_spare(path, data)
    if held is None and os.path.lexists(path):  # a full disk has no room for what comes too late
        return False
    temp = _temp(path) if held is None else _spare(path)
    released = False
    try:
        if held is None:
            write_new(temp, data)
        _link(temp, path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if held is None:
            raise
        released = True  # while we filled it
    finally:
        discard(temp)
        if held is not None:
            os.close(held)
    return _create(path, data) if released else True


def _link(temp: str, path: str) -> None:
    """Raises FileExistsError. Where a further name needs room that is not there (tmpfs counts
    names as inodes), the one writer that a spare may have renames it."""
    try:
        os.link(temp, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or temp != _spare(path):
            raise
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.rename(temp, path)


def reserve(path: str) -> None:
    """Set aside the space (blocks and an inode) that `create(path, …)` will need. Not durable, as it
    need not be: where there is no room, write(2) or close(2) says so (delayed allocation counts too)."""
    fd = os.open(_spare(path), _WRITE | os.O_EXCL, 0o600)
    try:
        write_all(fd, bytes(_SPARE_BYTES))
    finally:
        os.close(fd)


def release(path: str) -> None:
    """`create(path, …)` will not be needed any more, so neither will its space."""
    discard(_spare(path))


def _fill_spare(path: str, data: bytes) -> int | None:
    """A descriptor of the file with the reserved space, now holding `data`: nobody else fills it while
    that is open. None where there is none to be used."""
    try:
        fd = os.open(_spare(path), os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        # Two names: it is `path` already, a crash came before its unlink. None: another was faster.
        if os.fstat(fd).st_nlink != 1:
            os.close(fd)
            return None
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _spare(path: str) -> str:
    return f"{path}.spare"


def _temp(path: str) -> str:
    """A name that nobody else uses: not even who had our pid before, and was killed."""
    return f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"


def append(path: str, line: bytes, *, sync: bool = True) -> None:
    """Append one line durably, or with `sync` false once another one is. A cut line that a crash left is
    ended first, so that it can spoil no other."""
    is_new = not os.path.lexists(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            os.ftruncate(fd, _whole_lines(fd, size))
        write_all(fd, line)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    if is_new:  # fsync(2): of a file does not reach its name
        sync_dir(os.path.dirname(path))


def _whole_lines(fd: int, size: int) -> int:
    data = os.pread(fd, size, 0)
    return data.rfind(b"\n") + 1


def read(path: str) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        parts = []
        while part := os.read(fd, 1 << 20):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def names(path: str) -> list[str]:
    """The names in a directory, [] where there is none."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def dump_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def discard(path: str) -> None:
    """Remove a file that may be gone already. Not durable."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
