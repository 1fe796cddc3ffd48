"""Git LFS pointers: what git stores in place of a file that is kept elsewhere.

The format is git-lfs's (docs/spec.md there): lines of "key value", "version" first, under
1024 bytes. An empty file is its own pointer.
"""

from __future__ import annotations

from dobby.core.lazy import regex
from dobby.core.record import Record

MOST_BYTES = 1023
FILTER = "lfs"  # the value of the attribute `filter` that git-lfs uses
_VERSIONS = (
    b"https://git-lfs.github.com/spec/v1",
    b"https://hawser.github.com/spec/v1",
    b"http://git-media.io/v/2",
)
_OID = regex(rb"(?m)^oid sha256:([0-9a-f]{64})$")
_SIZE = regex(rb"(?m)^size ([0-9]+)$")


class Pointer(Record):
    """The SHA-256 (hex) and the size in bytes of the content that is meant."""

    sha256: str
    size: int


def parse_pointer(text: bytes) -> Pointer | None:
    """The pointer that a file's bytes are; None where they are anything else."""
    first = text.partition(b"\n")[0]
    if len(text) > MOST_BYTES or not first.startswith(b"version ") or first[8:] not in _VERSIONS:
        return None
    oid, size = _OID.search(text), _SIZE.search(text)
    if oid is None or size is None:
        return None
    return Pointer(sha256=oid[1].decode(), size=int(size[1]))


def pointer_text(pointer: Pointer) -> bytes:
    """The bytes that git-lfs itself would store for this content."""
    if not pointer.size:
        return b""
    lines = (_VERSIONS[0].decode(), f"oid sha256:{pointer.sha256}", f"size {pointer.size}")
    return "version {}\n{}\n{}\n".format(*lines).encode()
