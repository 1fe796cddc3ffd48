"""Clients that want one label at one instant: never do two runs hold it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import dobby
from campaign.frame import Experiment

if TYPE_CHECKING:
    import random

    from campaign.frame import Tally
    from campaign.lab import Lab

# mkdir(2) is atomic: a second holder meets the first one's directory, and leaves a mark.
HOLDS = """
if ! mkdir "$HOME/held-{0}" 2>/dev/null; then echo "$DOBBY_RUN_ID" >> "$HOME/doubles"; fi
{1}
rmdir "$HOME/held-{0}"
"""


def races(lab: Lab, tally: Tally) -> None:
    """Two clients, one label, one instant. One wins; the other is refused, waits, or takes its place."""
    clients = [lab.client() for _ in range(8)]
    doubles = Path(lab.sshd.home, "doubles")
    doubles.unlink(missing_ok=True)

    def one(number: int, chance: random.Random) -> None:
        label = f"job{number % 4}"
        command = HOLDS.format(label, f"sleep {chance.uniform(0, 0.02):.3f}")
        modes = [chance.choice(["refuse", "refuse", "queue"]) for _ in range(2)]
        ids = [f"r{number}-{racer}" for racer in range(2)]
        refused: list[dobby.Busy] = []
        gate = threading.Barrier(2)

        def race(racer: int) -> None:
            gate.wait()
            try:
                lab.launch(
                    clients[number % 4 * 2 + racer],
                    command,
                    ids[racer],
                    label=label,
                    if_running=modes[racer],
                )
            except dobby.Busy as busy:
                refused.append(busy)

        other = threading.Thread(target=race, args=(1,))
        other.start()
        race(0)
        other.join()
        came = [run_id for run_id in ids if os.path.isdir(f"{lab.runs(label)}/{run_id}")]
        if len(came) + len(refused) != 2 or not came:
            tally.failed(f"{ids}, {modes}: {came} came in, {[busy.message for busy in refused]}")
        for busy in refused:
            if busy.exit_code != 75 or not busy.details.get("holder"):
                tally.failed(f"{ids}: {busy.message} (exit {busy.exit_code})")
        for run_id in came:
            if lab.final(label, run_id)["status"] != "succeeded":
                tally.failed(f"{run_id}: {lab.final(label, run_id)}")

    lanes = [threading.Lock() for _ in range(4)]

    def alone(number: int, chance: random.Random) -> None:
        with lanes[number % 4]:
            one(number, chance)

    tally.spread(alone)
    if doubles.exists():
        tally.failed(f"double holders: {doubles.read_text().split()}")


EXPERIMENTS = (Experiment("label-races", 2000, 24, races),)
