"""The campaign's own frame: a figure that falls short is seen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from campaign.__main__ import EXPERIMENTS
from campaign.frame import Experiment, Skip, Tally

if TYPE_CHECKING:
    import random


def tally(wanted: int = 6, most_s: float | None = None) -> Tally:
    return Tally(Experiment("an-example", 100, wanted, lambda _lab, _tally: None, most_s), wanted, 7)


def test_each_try_is_made_once_and_counted() -> None:
    one, made = tally(), []
    one.spread(lambda number, _: made.append(number), 3)
    assert sorted(made) == list(range(6))
    assert (one.done, one.failures, one.is_good) == (6, [], True)


def test_a_try_that_raises_has_failed() -> None:
    one = tally()

    def fails(number: int, _: random.Random) -> None:
        assert number != 4, "the fourth"

    one.spread(fails, 2)
    assert one.done == 6
    assert [failure.splitlines()[0] for failure in one.failures] == ["try 4: AssertionError: the fourth"]
    assert not one.is_good


def test_what_takes_too_long_has_failed() -> None:
    one = tally(2, most_s=1.0)
    one.did(2)
    assert not one.is_good, "nothing was timed"
    one.took(0.9)
    assert one.is_good
    one.took(1.1)
    assert not one.is_good


def test_too_few_tries_have_failed() -> None:
    one = tally()
    one.did(5)
    assert not one.is_good
    one.skipped = str(Skip("only root may mount"))
    assert one.is_good


def test_chance_depends_on_seed_and_try_alone() -> None:
    found: dict[int, float] = {}
    again: dict[int, float] = {}
    lock = threading.Lock()

    def keep(into: dict[int, float], number: int, chance: random.Random) -> None:
        with lock:
            into[number] = chance.random()

    tally().spread(lambda number, chance: keep(found, number, chance), 3)
    tally().spread(lambda number, chance: keep(again, number, chance), 1)
    assert found == again
    assert len(set(found.values())) == 6


def test_every_experiment_is_in_the_short_campaign_too() -> None:
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)
    assert all(0 < experiment.short <= experiment.full for experiment in EXPERIMENTS)
