"""State files that are old or new, never torn, whatever happens in between.

Temp file, fsync, rename (or link), fsync of the directory. Success is claimed only after
the last of them.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def make_dirs(path: str) -> None:
    """`path` and its parents, 0700 whatever the umask."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_dirs(os.path.dirname(path))
        make_dirs(path)
        return
    os.chmod(path, 0o700)


def sync_dir(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
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
    temp = f"{path}.{os.getpid()}.tmp"
    try:
        write_new(temp, data)
        os.rename(temp, path)
    except BaseException:
        _discard(temp)
        raise
    sync_dir(os.path.dirname(path))


def create(path: str, data: bytes) -> bool:
    """Create `path` whole and durably, once: False when it exists already (link(2))."""
    temp = f"{path}.{os.getpid()}.tmp"
    try:
        write_new(temp, data)
        os.link(temp, path)
        created = True
    except FileExistsError:
        created = False
    finally:
        _discard(temp)
    sync_dir(os.path.dirname(path))
    return created


def append(path: str, line: bytes) -> None:
    """Append one line durably. A cut line that a crash left is ended first, so that it can
    spoil no other."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            os.ftruncate(fd, _whole_lines(fd, size))
        write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _whole_lines(fd: int, size: int) -> int:
    data = os.pread(fd, size, 0)
    return data.rfind(b"\n") + 1


def read(path: str) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        parts = []
        while part := os.read(fd, 1 << 20):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def dump_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
