"""What is made when it is first used, and not before.

The agent and the client start afresh for every verb. One verb uses few of the fifty regular
expressions that its modules hold: together these took 6 ms of every start, and `re` takes 14.
"""

from __future__ import annotations

__all__ = ["imported", "once", "regex"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from re import compile as regex
    from typing import Any, TypeVar

    T = TypeVar("T")
else:

    class regex:
        """As `re.compile(text, flags)`; what is wrong with the text is said at the first use."""

        def __init__(self, text, flags=0):
            self._text, self._flags = text, flags

        def __getattr__(self, name):  # asked only for what is not there yet
            import re

            value = getattr(re.compile(self._text, self._flags), name)
            setattr(self, name, value)
            return value


def once(make: Callable[[], T]) -> Callable[[], T]:
    """A function that gives what `make` gave when it was first called: `functools` takes 3 ms."""
    kept: list[T] = []

    def get() -> T:
        if not kept:
            kept.append(make())
        return kept[0]

    return get


def imported(name: str) -> Any:
    """The module of that name: `importlib`, as a module, takes 1 ms."""
    return __import__(name, fromlist=[""])
