"""Which runs lose what takes up room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dobby.core.keeping import DAY_S, Ended, outdated

if TYPE_CHECKING:
    from typing import Optional

NOW = 1e9


def runs(*days_ago: float) -> list[Ended]:
    """Run 1 first; the last one is the latest."""
    return [Ended(run_id=f"r{n}", seq=n, ended=NOW - days * DAY_S) for n, days in enumerate(days_ago, 1)]


@pytest.mark.parametrize(
    ("keep_last", "keep_days", "gone"),
    [
        (None, None, []),
        (2, None, ["r1", "r2"]),
        (None, 10, ["r1"]),
        (3, 1, ["r1", "r2"]),
        (0, 0, ["r1", "r2", "r3"]),
        (9, 9, ["r1", "r2"]),
    ],
)
def test_what_goes(keep_last: Optional[int], keep_days: Optional[int], gone: list[str]) -> None:
    assert sorted(outdated(runs(30, 9.5, 0.5, 0), keep_last, keep_days, NOW)) == gone


def test_the_order_is_that_of_the_host_and_not_of_clocks() -> None:
    later_by_clock = [Ended(run_id="a", seq=2, ended=NOW - 5), Ended(run_id="b", seq=1, ended=NOW)]
    assert outdated(later_by_clock, 1, None, NOW) == ["b"]


@given(
    st.lists(st.floats(0, 1e4), max_size=8), st.none() | st.integers(0, 9), st.none() | st.integers(0, 99)
)
def test_the_latest_always_stays(
    ages: list[float], keep_last: Optional[int], keep_days: Optional[int]
) -> None:
    found = runs(*ages)
    gone = outdated(found, keep_last, keep_days, NOW)
    assert len(set(gone)) == len(gone) <= max(0, len(found) - max(1, keep_last or 1) * (keep_days is None))
    assert not found or found[-1].run_id not in gone
