"""Wait for what a test expects: poll, never sleep blindly, and on timeout show what was seen last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST_PAUSE_S = 0.05


def until(
    predicate: Callable[[], T], timeout: float = 10.0, evidence: Callable[[], object] | None = None
) -> T:
    """The first true value that `predicate` returns, asked again and again for `timeout` seconds.

    On timeout raises AssertionError with what `evidence` says, else with the last value.
    An AssertionError inside `predicate` counts as "not yet", and is the evidence."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        last: object
        try:
            value = predicate()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            seen = evidence() if evidence else last
            raise AssertionError(f"not within {timeout:g} s; last seen: {seen!s}")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_S)
