"""Functions of the C library that `os` lacks, by the part of `ctypes` that is written in C: the rest of it
takes 2 ms of every start, and of every run's memory."""

from __future__ import annotations

from dobby.core.lazy import once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def call(name: str, *arguments: int | bytes) -> int:
    """What the function returns, as a C int. Raises OSError or AttributeError where there is none of that
    name."""
    return int(library()(name)(*arguments))


@once
def library() -> Callable[[str], Callable[..., int]]:
    """Gives each of its functions by name."""
    try:
        import _ctypes
    except ImportError:  # another Python than CPython
        import ctypes

        library = ctypes.CDLL(None)
        return lambda name: getattr(library, name)
    parts: Any = _ctypes

    class Int(parts._SimpleCData):  # type: ignore[misc]
        _type_ = "i"

    class Function(parts.CFuncPtr):  # type: ignore[misc]
        _flags_ = parts.FUNCFLAG_CDECL
        _restype_ = Int

    loaded = parts.dlopen(None, 0)
    return lambda name: Function(parts.dlsym(loaded, name))
