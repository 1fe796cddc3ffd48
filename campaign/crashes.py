"""Every crash point of every state write: the explorer of tests/crash, whole and by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.crash import explore

from campaign.frame import Experiment

if TYPE_CHECKING:
    from campaign.frame import Tally
    from campaign.lab import Lab


def _crash_points(_: Lab, tally: Tally) -> None:
    """A try is a round through every point of every play; the first is the systematic one."""
    for number in range(tally.wanted):
        found = explore.explore(tally.chance(number).randrange(1 << 30), tally.tell, mixtures=number)
        for wrong in found.wrong:
            tally.failed(wrong)
        tally.did()


EXPERIMENTS = [Experiment("crash points", 3, 1, _crash_points)]
