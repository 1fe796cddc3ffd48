"""git's index as bytes (gitformat-index(5)): the place where git remembers, for each file, by
what size and times it knows the file to be unchanged."""

from __future__ import annotations

import struct

from dobby.core.digest import hash_of
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Optional

_HEADER = struct.Struct(">4sII")
_STAT = struct.Struct(">10I")  # ctime, ctime ns, mtime, mtime ns, dev, ino, mode, uid, gid, size
_MODE = 6
_FLAGS = struct.Struct(">H")
_EXTENDED, _STAGE, _LENGTH = 0x4000, 12, 0x0FFF
_MASK = 0xFFFFFFFF


class Entry(Record):
    """A path, its mode ("100644") and object id, and its `stage`: 0, or in a conflict 1 to 3."""

    path: bytes
    mode: str
    id: str
    stage: int = 0


def with_stats(index: bytes, stats: Mapping[bytes, os.stat_result], object_format: str) -> Optional[bytes]:
    """`index` in which the entries of these paths carry these stats; None where it is of a
    form (version 4, cut short) in which no entry can be changed in its place."""
    id_bytes = _id_bytes(object_format)
    new = bytearray(index[:-id_bytes])
    try:
        for at, _, _, name in _walk(index, id_bytes):
            if name in stats:
                mode = _STAT.unpack_from(new, at)[_MODE]
                _STAT.pack_into(new, at, *_fields(stats[name], mode))
    except ValueError:
        return None
    return bytes(new) + hash_of(object_format)(new).digest()


def dump(entries: Iterable[Entry], object_format: str) -> bytes:
    """An index of these entries, which knows of no file that it is unchanged."""
    ordered = sorted(entries, key=lambda entry: (entry.path, entry.stage))
    parts = [_HEADER.pack(b"DIRC", 2, len(ordered))]
    for entry in ordered:
        stats = [0] * 10
        stats[_MODE] = int(entry.mode, 8)
        flags = entry.stage << _STAGE | min(len(entry.path), _LENGTH)
        text = _STAT.pack(*stats) + bytes.fromhex(entry.id) + _FLAGS.pack(flags) + entry.path
        parts.append(text + bytes(8 - len(text) % 8))
    data = b"".join(parts)
    return data + hash_of(object_format)(data).digest()


def parse(index: bytes, object_format: str) -> list[Entry]:
    """The entries of an index of version 2 or 3. Raises ValueError."""
    id_bytes, found = _id_bytes(object_format), []
    for at, id, flags, name in _walk(index, id_bytes):
        mode = f"{_STAT.unpack_from(index, at)[_MODE]:06o}"
        found.append(Entry(path=name, mode=mode, id=id.hex(), stage=flags >> _STAGE & 3))
    return found


def _id_bytes(object_format: str) -> int:
    return 32 if object_format == "sha256" else 20


def _walk(index: bytes, id_bytes: int) -> Iterator[tuple[int, bytes, int, bytes]]:
    """Where each entry begins, its id, flags and name. Raises ValueError."""
    end_of_all = len(index) - id_bytes
    if end_of_all < _HEADER.size:
        raise ValueError("an index that is cut short")
    magic, version, entries = _HEADER.unpack_from(index)
    if magic != b"DIRC" or version not in (2, 3):
        raise ValueError("no index of version 2 or 3")
    at = _HEADER.size
    for _ in range(entries):
        flags_at = at + _STAT.size + id_bytes
        if flags_at + _FLAGS.size > end_of_all:
            raise ValueError("an index that is cut short")
        (flags,) = _FLAGS.unpack_from(index, flags_at)
        name_at = flags_at + _FLAGS.size * (2 if flags & _EXTENDED else 1)
        length = flags & _LENGTH
        end = name_at + length if length < _LENGTH else index.find(b"\0", name_at)
        yield at, index[at + _STAT.size : flags_at], flags, index[name_at:end]
        at += (end - at + 8) // 8 * 8  # 1 to 8 NULs after the name


def _fields(found: os.stat_result, mode: int) -> list[int]:
    fields = [
        *divmod(found.st_ctime_ns, 10**9),
        *divmod(found.st_mtime_ns, 10**9),
        *(found.st_dev, found.st_ino, mode, found.st_uid, found.st_gid, found.st_size),
    ]
    return [field & _MASK for field in fields]
