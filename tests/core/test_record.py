"""Records: frozen values with typed fields."""

from __future__ import annotations

import pytest

from dobby.core.record import Record


class Point(Record):
    x: int
    y: int = 2


class Named(Point):
    name: str
    y: int = 3


def test_fields_keep_their_order_and_defaults() -> None:
    assert Named(name="n", x=1).to_dict() == {"x": 1, "y": 3, "name": "n"}
    assert list(Named(name="n", x=1).to_dict()) == ["x", "y", "name"]
    assert repr(Point(x=1)) == "Point(x=1, y=2)"


def test_missing_and_unknown_fields_are_errors() -> None:
    with pytest.raises(TypeError, match="Point needs x"):
        Point(y=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point has no q, z"):
        Point(x=1, z=1, q=2)  # type: ignore[call-arg]


def test_a_record_is_frozen() -> None:
    point = Point(x=1)
    with pytest.raises(AttributeError, match="Point is frozen"):
        point.x = 2  # type: ignore[misc]
    point.to_dict()["x"] = 5
    assert point.x == 1


def test_records_are_equal_by_type_and_value() -> None:
    assert Point(x=1) == Point(x=1, y=2)
    assert Point(x=1) != Point(x=2)
    assert Named(x=1, name="") != Point(x=1, y=3)
    assert len({Point(x=1), Point(x=1), Point(x=2)}) == 2


def test_replace_makes_a_checked_copy() -> None:
    assert Point(x=1).replace(x=5) == Point(x=5)
    with pytest.raises(TypeError):
        Point(x=1).replace(z=5)
