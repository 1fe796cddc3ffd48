"""Inputs by the thousand for the properties of tests/fuzz: none is executed, none is shown raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, seed, settings
from tests.fuzz.properties import JSON, PROPERTIES
from tests.fuzz.state_files import Home, damages
from tests.fuzz.words import REVISIONS, Place

from campaign.frame import Experiment

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from campaign.frame import Tally
    from campaign.lab import Lab

    Check = Callable[[Any], None]

DAMAGED = 20  # of a hundred inputs, so many are state files


def _inputs(_: Lab, tally: Tally) -> None:
    with Home() as home:
        of_files = tally.wanted * DAMAGED // 100
        _try(tally, "state files", damages(JSON), home.check, of_files)
    each = (tally.wanted - of_files) // (len(PROPERTIES) + 1) + 1
    with Place() as place:
        _try(tally, "revisions", REVISIONS, place.check, each)
    for name, one in PROPERTIES.items():
        _try(tally, name, one.inputs, one.check, each)


def _try(
    tally: Tally, name: str, inputs: SearchStrategy[Any], check: Callable[[Any], None], number: int
) -> None:
    """A property that fails is told with the smallest input that fails."""

    def count(value: Any) -> None:
        tally.did()
        check(value)

    many = settings(
        max_examples=number, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    try:
        seed(tally.chance().randrange(1 << 30))(many(given(inputs)(count)))()
    except Exception as error:
        tally.failed(f"{name}: {type(error).__name__}: {error} {getattr(error, '__notes__', '')}")


EXPERIMENTS = [Experiment("fuzzed-inputs", 10_000, 400, _inputs)]
