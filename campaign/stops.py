"""Jobs that will not be stopped: nothing of them is left."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests import leftovers
from tests.wait import until

from campaign import tree
from campaign.frame import Experiment

if TYPE_CHECKING:
    import random

    from campaign.frame import Tally
    from campaign.lab import Lab

OURS = ("dobby-steward", "sshd", "sshd-session")


def trees(lab: Lab, tally: Tally) -> None:
    """Process trees made by chance, stopped while they stand."""
    program = f"{lab.sshd.home}/tree.py"
    shutil.copy(os.path.abspath(tree.__file__), program)
    os.chmod(program, 0o644)
    client = lab.client()

    def one(number: int, chance: random.Random) -> None:
        run_id = f"r{number}"
        command = f"python3 -I -S {program} {chance.randrange(10**9)}"
        run = lab.launch(
            client, command, run_id, label=f"job{number % 4}", if_running="queue", grace="0.1s"
        )
        until(
            lambda: os.path.exists(run.outputs("made")),
            30,
            evidence=lambda: lab.look(run.run.label, run_id),
        )
        row = run.stop()
        if row["status"] != "stopped" or row["note"]:
            tally.failed(f"{run_id}: {row['status']} {row['note']}")
        left = _left(run.outputs("pids"))
        if left:
            tally.failed(f"{run_id}: survivors {left}")

    tally.spread(one)
    if lab.sshd.uid is not None:
        until(lambda: not _others(lab), 10, evidence=lambda: f"survivors {_others(lab)}")


def _others(lab: Lab) -> list[str]:
    """Processes of the account that are neither the link's nor the steward."""
    return [str(process) for process in leftovers.alive("", lab.sshd.uid) if process.name not in OURS]


def _left(path: str) -> list[str]:
    """Those of the noted processes that live, told from others that have their pids by now."""
    found = []
    with open(path) as file:
        for line in file:
            pid, start = line.split()
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[19] == start and fields[0] not in "ZX":
                found.append(pid)
    return found


EXPERIMENTS = (Experiment("trees-stopped", 500, 24, trees),)
