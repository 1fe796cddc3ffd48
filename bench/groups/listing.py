"""`dobby ps` on a host that has 10,000 runs on record."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests import planted

from bench import timing
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

LABELS, RUNS_EACH = 1000, 10


def measure(place: Place, rounds: int) -> Iterator[Row]:
    planted_home = f"{place.folder}/planted"
    for label in range(LABELS):
        for number in range(RUNS_EACH):
            planted.final_run(planted_home, f"recorded{label}", number + 1)
    tar = ["tar", "-cf", "-", "-C", planted_home, "."]
    archive = subprocess.run(tar, stdout=subprocess.PIPE, check=True).stdout
    place.sshd.run(["sh", "-c", "mkdir -p -m 700 .dobby && tar -xf - -C .dobby"], input=archive)

    def floor() -> float:
        return place.on_host("echo first") + place.python()

    place.verb("ps")  # whatever is kept to be fast is made now
    found = timing.interleaved({"F": floor, "ps": lambda: place.verb("ps")}, rounds)
    # Out of the way of what may be measured next, which a removal would slow.
    place.sshd.run(["mv", ".dobby/projects/shop", "floor/"])
    yield timed(
        f"`dobby ps`, {LABELS * RUNS_EACH:,} recorded runs of {LABELS:,} jobs",
        found["ps"],
        found["F"],
        Target(times=4),
    )
