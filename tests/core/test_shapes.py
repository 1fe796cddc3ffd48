"""Values are held against annotations as they are written."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from dobby.core.record import Record
from dobby.core.shapes import fits, misfit


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        ("str", ["", "x"], [None, 1, b"x"]),
        ("int", [0, -1], [True, 1.0, "1"]),
        ("float", [1, 1.5], [False, "1", None]),
        ("bool", [True], [1, None]),
        ("Optional[int]", [None, 1], ["", 1.5]),
        ("tuple[str, ...]", [(), ("a", "b")], [["a"], ("a", 1), "a"]),
        ("tuple[tuple[str, str], ...]", [(("a", "b"),)], [(("a",),), ("ab",)]),
        ("dict[str, Optional[float]]", [{}, {"a": None, "b": 1}], [{"a": "1"}, []]),
        ("Union[Exit, Signal]", [object()], []),
    ],
)
def test_what_fits(shape: str, good: list[Any], bad: list[Any]) -> None:
    assert all(fits(shape, value) for value in good)
    assert not any(fits(shape, value) for value in bad)


class Base(Record):
    name: str
    size: Optional[int] = None


class Derived(Base):
    flag: bool = False


def test_the_field_that_does_not_fit_is_named() -> None:
    assert misfit(Derived(name="x")) == ""
    assert misfit(Derived(name="x", flag="yes")) == "flag must be bool"  # type: ignore[arg-type]
    assert misfit(Derived(name="x", size="1")) == "size must be Optional[int]"  # type: ignore[arg-type]
