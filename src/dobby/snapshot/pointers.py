"""Files under Git LFS that git takes for changed: the tree gets their pointers, as git-lfs would
make them, and the host their contents, straight from the working tree.

git-lfs takes no part: it would copy each content into the user's own store.
"""

from __future__ import annotations

import os
import stat

from dobby.core.pointer import MOST_BYTES, Pointer, parse_pointer, pointer_text
from dobby.core.record import Record
from dobby.snapshot import filters
from dobby.snapshot.hashes import Hashes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.snapshot.checkout import Checkout


class File(Record):
    """`path` from the top, its `mode` as git writes it, the `text` that its blob holds, and where
    that is a pointer to what the file holds, the content's `sha256` and `source` (its path)."""

    path: bytes
    mode: str
    text: bytes
    sha256: str = ""
    source: str = ""


def look(checkout: Checkout, paths: list[bytes]) -> tuple[File, ...]:
    """Those of `paths` that are regular files under Git LFS. Raises DobbyError."""
    found = []
    under = filters.under_lfs(checkout.place, paths)
    with Hashes(checkout) as hashes:
        for path in paths:
            full = f"{checkout.top}/{os.fsdecode(path)}"
            if path in under and os.path.lexists(full):
                status = os.lstat(full)
                if stat.S_ISREG(status.st_mode):
                    mode = "100755" if status.st_mode & 0o100 else "100644"
                    found.append(_file(path, mode, full, status.st_size, hashes))
    return tuple(found)


def _file(path: bytes, mode: str, full: str, size: int, hashes: Hashes) -> File:
    if size <= MOST_BYTES:
        with open(full, "rb") as file:
            text = file.read()
        if not text or parse_pointer(text) is not None:  # git-lfs leaves a pointer as it is
            return File(path=path, mode=mode, text=text)
    id, size = hashes.of(full)
    return File(
        path=path, mode=mode, text=pointer_text(Pointer(sha256=id, size=size)), sha256=id, source=full
    )
