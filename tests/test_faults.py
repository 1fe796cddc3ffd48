"""docs/faults.md names tests and experiments: those that there are."""

from __future__ import annotations

import re
from pathlib import Path

from campaign.__main__ import EXPERIMENTS

TESTS = Path(__file__).parent
ROWS = [
    line for line in (TESTS.parent / "docs/faults.md").read_text().splitlines() if line.startswith("| ")
]
FAULTS = [row for row in ROWS if not row.startswith("| what ")]


def test_every_fault_has_a_test_that_exists() -> None:
    for row in FAULTS:
        named = re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        for path, name in named:
            assert f"def {name or 'test_'}" in (TESTS / path).read_text(), f"{path}::{name}"


def test_every_experiment_belongs_to_a_fault() -> None:
    named = {name for row in FAULTS for name in re.findall(r"`([a-z-]+)`", row.partition("campaign: ")[2])}
    assert named == {experiment.name for experiment in EXPERIMENTS}
