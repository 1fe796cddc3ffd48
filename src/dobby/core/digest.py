"""SHA-256 and git's SHA-1 without the 5 ms that `hashlib` pays to load OpenSSL.

CPython's own module was `_sha256` until 3.11 and is `_sha2` since 3.12; an interpreter
without either has `hashlib`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import sha256
    from typing import Protocol, Union

    class Hash(Protocol):
        def digest(self) -> bytes: ...

        def hexdigest(self) -> str: ...

else:
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["hash_of", "sha256"]


def hash_of(object_format: str) -> Callable[[Union[bytes, bytearray]], Hash]:
    """What names the objects of a repository of this format ("sha1" or "sha256")."""
    if object_format == "sha256":
        return sha256
    try:
        import _sha1 as module  # type: ignore[import-not-found]
    except ImportError:
        import hashlib as module
    sha1: Callable[[Union[bytes, bytearray]], Hash] = module.sha1
    return sha1
