"""git's index as bytes (gitformat-index(5)): the place where git remembers, for each file, by
what size and times it knows the file to be unchanged."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_HEADER = struct.Struct(">4sII")
_STAT = struct.Struct(">10I")  # ctime, ctime ns, mtime, mtime ns, dev, ino, mode, uid, gid, size
_FLAGS = struct.Struct(">H")
_EXTENDED, _LENGTH = 0x4000, 0x0FFF
_MASK = 0xFFFFFFFF


def with_stats(index: bytes, stats: Mapping[bytes, os.stat_result], object_format: str) -> bytes | None:
    """`index` in which the entries of these paths carry these stats; None where it is of a
    form (version 4, cut short) in which no entry can be changed in its place."""
    id_bytes, digest = (32, "sha256") if object_format == "sha256" else (20, "sha1")
    if len(index) < _HEADER.size + id_bytes:
        return None
    magic, version, entries = _HEADER.unpack_from(index)
    if magic != b"DIRC" or version not in (2, 3):
        return None
    new, at = bytearray(index[:-id_bytes]), _HEADER.size
    for _ in range(entries):
        flags_at = at + _STAT.size + id_bytes
        if flags_at + _FLAGS.size > len(new):
            return None
        (flags,) = _FLAGS.unpack_from(new, flags_at)
        name_at = flags_at + _FLAGS.size * (2 if flags & _EXTENDED else 1)
        length = flags & _LENGTH
        end = name_at + length if length < _LENGTH else new.find(b"\0", name_at)
        name = bytes(new[name_at:end])
        if name in stats:
            mode = _STAT.unpack_from(new, at)[6]
            _STAT.pack_into(new, at, *_fields(stats[name], mode))
        at += (end - at + 8) // 8 * 8  # 1 to 8 NULs after the name
    import hashlib

    return bytes(new) + hashlib.new(digest, new, usedforsecurity=False).digest()


def _fields(found: os.stat_result, mode: int) -> list[int]:
    fields = [
        *divmod(found.st_ctime_ns, 10**9),
        *divmod(found.st_mtime_ns, 10**9),
        *(found.st_dev, found.st_ino, mode, found.st_uid, found.st_gid, found.st_size),
    ]
    return [field & _MASK for field in fields]
