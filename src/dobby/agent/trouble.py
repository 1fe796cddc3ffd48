"""What goes wrong in dobby itself on the host is told on stderr, which a file beside the run gets."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Unfailing(io.RawIOBase):
    """stderr, where what finds no room is lost."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            os.write(2, data)
        except OSError:  # a full disk: there is nowhere else to say it
            return len(data)
        return len(data)


def never_fails() -> None:
    """From now on no word on stderr can end us: on a full disk it is the file that has no room."""
    raw = _Unfailing()
    sys.stderr = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)


def tell() -> None:
    """The exception under way. Its printer takes 3 ms to import, and is wanted almost never."""
    import traceback

    traceback.print_exc()
