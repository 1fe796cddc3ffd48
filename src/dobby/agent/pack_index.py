"""Whether an object store has an object, found in the files themselves: git would be a process for it
(gitrepository-layout(5), gitformat-pack(5): index version 2)."""

from __future__ import annotations

import os

from dobby.agent import durable
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_MAGIC = b"\377tOc\0\0\0\2"
_NAMES = len(_MAGIC) + 4 * 256  # after how many objects there are up to each first byte


def holds(objects: str, id: str) -> bool:
    """Whether the object lies below `objects`, loose or in a pack that is whole."""
    if _bytes_of(f"{objects}/{id[:2]}/{id[2:]}"):
        return True
    tried: set[str] = set()
    # Packs that are just put together are gone once their successor is there: it is looked for again.
    while fresh := _whole(f"{objects}/pack") - tried:
        if any(_is_in(f"{objects}/pack/{name}.idx", bytes.fromhex(id)) for name in fresh):
            return True
        tried |= fresh
    return False


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _whole(folder: str) -> set[str]:
    names = set(durable.names(folder))
    return {name[:-4] for name in names if name.endswith(".idx") and f"{name[:-4]}.pack" in names}


def _is_in(path: str, id: bytes) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        counts = _counts(os.pread(fd, _NAMES, 0))
        if counts is None:
            return False
        first, last = counts[id[0] - 1] if id[0] else 0, counts[id[0]]
        names = os.pread(fd, (last - first) * len(id), _NAMES + first * len(id))
    finally:
        os.close(fd)
    at = names.find(id)
    while at > 0 and at % len(id):
        at = names.find(id, at + 1)
    return at >= 0


def _counts(head: bytes) -> Optional[list[int]]:
    """How many objects there are up to each first byte; None where it is no index of a pack, version 2."""
    if len(head) < _NAMES or not head.startswith(_MAGIC):
        return None
    return [int.from_bytes(head[at : at + 4], "big") for at in range(len(_MAGIC), _NAMES, 4)]


def ids(path: str, size: int) -> set[bytes]:
    """All objects of an index, each named by `size` bytes. Raises DobbyError for what is none."""
    data = durable.read(path) or b""
    counts = _counts(data[:_NAMES])
    if counts is None:
        raise DobbyError(f"unreadable: {path}: it is no index of a pack, version 2")
    names = data[_NAMES : _NAMES + counts[-1] * size]
    return {names[at : at + size] for at in range(0, len(names), size)}
