"""SHA-256 without the 5 ms that `hashlib` pays to load OpenSSL.

CPython's own module was `_sha256` until 3.11 and is `_sha2` since 3.12; an interpreter
without either has `hashlib`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
