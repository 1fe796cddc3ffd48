"""Objects that dobby makes, each a file of its own in dobby's own store, as git would write it: a process
less for each (gitrepository-layout(5), "objects"; git's loose-object format)."""

from __future__ import annotations

import os
import zlib

from dobby.core.digest import hash_of

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


def _is_there(path: str) -> bool:
    """Then it is needed from now on, which its time says (`store.trim`)."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _read_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o444)
