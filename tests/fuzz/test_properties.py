"""A few inputs of each property, the same every time; `python -m campaign` tries thousands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from tests.fuzz.properties import JSON, PROPERTIES
from tests.fuzz.state_files import Damage, Home, damages
from tests.fuzz.words import REVISIONS, Place


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_holds_whatever_comes(name: str) -> None:
    few = settings(max_examples=40, derandomize=True, database=None, deadline=None)
    few(given(PROPERTIES[name].inputs)(PROPERTIES[name].check))()


def test_a_revision_is_a_commit_or_nothing() -> None:
    few = settings(max_examples=40, derandomize=True, database=None, deadline=None)
    with Place() as place:
        few(given(REVISIONS)(place.check))()


def test_one_damaged_run_hides_no_other() -> None:
    few = settings(max_examples=60, derandomize=True, database=None, deadline=None)
    with Home() as home:
        few(given(damages(JSON))(home.check))()


def test_a_damaged_holder_keeps_no_label() -> None:
    """Found by the above: no run could be launched under that label any more."""
    with Home() as home:
        for text in (b"../x", b"\xff\n", b"", b"no-run"):
            home.check(("../../holder", True, Damage("whole", 0.0, text, None)))
