"""What goes wrong in dobby itself on the host is told on stderr, which a file beside the run gets."""

from __future__ import annotations


def tell() -> None:
    """The exception under way. Its printer takes 3 ms to import, and is wanted almost never."""
    import traceback

    traceback.print_exc()
