from __future__ import annotations

import importlib
import pkgutil

import pytest
from bench import document, groups, repos, table
from bench.__main__ import GROUPS
from bench.table import Row, Target


@pytest.mark.parametrize(
    ("target", "median", "floor", "reached"),
    [
        (Target(times=4), 40.0, 10.0, True),
        (Target(times=4), 40.1, 10.0, False),
        (Target(plus=60), 70.0, 10.0, True),
        (Target(plus=60), 70.1, 10.0, False),
        (Target(times=4, at_most=80), 81.0, 100.0, False),
        (Target(times=4, at_most=80), 79.0, 19.0, False),
        (Target(at_least=30), 30.0, 0.0, True),
        (Target(at_least=30), 29.9, 0.0, False),
        (Target(at_most=0), 0.0, 0.0, True),
        (Target(at_most=0), 0.1, 0.0, False),
    ],
)
def test_a_target_holds_to_its_limit(target: Target, median: float, floor: float, reached: bool) -> None:
    assert Row("x", [median], floor=[floor] if floor else [], target=target).reached is reached


def test_a_row_is_told_by_its_median_beside_its_floor() -> None:
    row = table.timed("launch", [0.03, 0.02, 0.5], [0.01, 0.01, 0.2], Target(times=4, at_most=80))
    assert row.cells() == ("launch", "30 ms", "20-500", "10", "3.00", "<= 4 F, <= 80", "yes")


def test_what_has_no_target_is_there_to_be_compared_with() -> None:
    assert Row("peer", [2.0], "MB").cells() == ("peer", "2 MB", "", "", "", "", "")


def test_both_tables_hold_every_cell() -> None:
    rows = [Row("one", [1.0, 2.0]), Row("two", [1234.0], floor=[1.0], target=Target(times=2))]
    for text in (table.plain(rows), table.markdown(rows)):
        lines = [line for line in text.splitlines() if "---" not in line]
        assert len(lines) == 3
        assert all(cell in lines[2] for cell in rows[1].cells())


def test_only_what_stands_between_the_marks_is_written() -> None:
    text = f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n"
    assert document.replaced(text, "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="lacks"):
        document.replaced("no marks", "new")


def test_the_document_can_be_written() -> None:
    with open(document.PATH, encoding="utf-8") as file:
        assert "new" in document.replaced(file.read(), "new")


def test_every_group_can_be_asked_for() -> None:
    found = {module.name for module in pkgutil.iter_modules(groups.__path__)}
    assert found == set(GROUPS)
    for name in found:
        assert callable(importlib.import_module(f"bench.groups.{name}").measure)


def test_every_repository_is_made_of_known_sources() -> None:
    assert {package for parts in repos.MADE_OF.values() for package in parts} == {
        repos.NETWORKX,
        repos.DJANGO,
    }
