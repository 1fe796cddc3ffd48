"""Every change of every state file made to fail, and to be the last thing that happens."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from tests.crash.explore import explore

from campaign.frame import Experiment

if TYPE_CHECKING:
    from campaign.frame import Tally
    from campaign.lab import Lab


SAMPLED = 5


def points(_: Lab, tally: Tally) -> None:
    """As many as there are: `wanted` says how often power cuts are mixed anew. Where that is once, faults
    are a sample too: the everyday tests make each of them."""
    with contextlib.redirect_stderr(io.StringIO()):  # what the agent writes into its own file
        found = explore(
            tally.chance().randrange(10**9),
            tally.tell,
            mixtures=tally.wanted,
            apart=SAMPLED if tally.wanted == 1 else 1,
        )
    tally.wanted = found.points
    tally.did(found.points)
    for wrong in found.wrong:
        tally.failed(wrong)


EXPERIMENTS = (Experiment("crash-points", 20, 1, points),)
