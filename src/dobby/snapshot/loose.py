"""Objects that dobby makes, each a file of its own in dobby's own store, as git would write it: a process
less for each (gitrepository-layout(5), "objects"; git's loose-object format)."""

from __future__ import annotations

import os
import zlib

from dobby.core.digest import hash_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}
_PACK_VERSION = 2
_MOST_BLOWN_UP = 8  # zeros shrink to a thousandth
_FAST = 1  # it is sent in a moment, and then hardly read again


def write(store: str, object_format: str, kind: str, data: bytes) -> str:
    """The id of the object of this kind ("commit", "tree", "blob"), which `store` holds afterwards."""
    raw = b"%b %d\0%b" % (kind.encode(), len(data), data)
    id = hash_of(object_format)(raw).hexdigest()
    folder = f"{store}/{id[:2]}"
    path = f"{folder}/{id[2:]}"
    if not _is_there(path):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        new = f"{path}.{os.urandom(4).hex()}.tmp"
        with open(new, "xb", opener=_read_only) as file:
            file.write(zlib.compress(raw, _FAST))
        os.rename(new, path)
    return id


def pack(store: str, object_format: str, ids: Iterable[str], most_bytes: int) -> bytes:
    """A pack of these objects (gitformat-pack(5)), each whole; b"" where `store` does not hold them all, or
    that would be more than `most_bytes`."""
    parts, size = [], 0
    try:
        for id in ids:
            with open(f"{store}/{id[:2]}/{id[2:]}", "rb") as file:
                packed = file.read(most_bytes + 1)
            reader = zlib.decompressobj()
            head, _, data = reader.decompress(packed, most_bytes * _MOST_BLOWN_UP).partition(b"\0")
            if not reader.eof:  # large, or cut off: a power cut leaves an empty file
                return b""
            parts.append(_entry(head.split(b" ")[0], data))
            size += len(parts[-1])
            if size > most_bytes:
                return b""
    except (OSError, zlib.error):  # git will find what is wrong
        return b""
    whole = b"".join([b"PACK", _PACK_VERSION.to_bytes(4, "big"), len(parts).to_bytes(4, "big"), *parts])
    return whole + hash_of(object_format)(whole).digest()


def _entry(kind: bytes, data: bytes) -> bytes:
    """An object of a pack: its kind in 3 bits and its length in 4, then in 7 a byte, the least first."""
    byte, rest = _KINDS[kind] << 4 | len(data) & 0xF, len(data) >> 4
    head = bytearray()
    while rest:
        head.append(byte | 0x80)
        byte, rest = rest & 0x7F, rest >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(data, _FAST)


def _is_there(path: str) -> bool:
    """Then it is needed from now on, which its time says (`store.trim`)."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _read_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o444)
