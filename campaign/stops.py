"""Jobs that will not be stopped: nothing of them is left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests import leftovers
from tests.client.carried import kill
from tests.wait import until

import dobby
from campaign import tree
from campaign.frame import Experiment, Skip

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

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


SYSTEM = "/usr/bin/python3"
OF_ROOT = """
import os, signal
os.setresuid(0, 0, 0)
with open(os.environ["DOBBY_OUTPUTS"] + "/pids", "w") as file:
    print(os.getpid(), file=file)
while True:
    signal.pause()
"""


def survivors(lab: Lab, tally: Tally) -> None:
    """A process that the account may not kill, because it has become root's, as by sudo: it is named,
    and the label is not given to anyone before it has ended."""
    if lab.sshd.uid is None or not os.path.exists(SYSTEM):
        raise Skip("only root can give an account a process that it may not kill")
    roots_python = f"{lab.sshd.home}/roots-python"
    shutil.copy(os.path.realpath(SYSTEM), roots_python)
    os.chmod(roots_python, 0o4755)
    Path(lab.sshd.home, "of_root.py").write_text(OF_ROOT)
    client = lab.client()

    def one(number: int, _: random.Random) -> None:
        run_id, label = f"r{number}", f"job{number}"
        command = f"PYTHONHOME=/usr {roots_python} ~/of_root.py"
        run = lab.launch(client, command, run_id, label=label, grace="0.1s")
        (pid,) = run.pids()
        try:
            said = str(_refusal(run.stop))
            if f"(pid {pid})" not in said or "not gone yet: could not be killed" not in said:
                tally.failed(f"{run_id}: stop said {said}")
            busy = _refusal(lambda: lab.launch(client, "true", f"{run_id}-next", label=label))
            if not isinstance(busy, dobby.Busy) or run.row()["status"] != "running":
                tally.failed(f"{run_id}: the label was given away: {busy}")
        finally:
            kill(pid)
        if lab.final(label, run_id)["status"] != "stopped":
            tally.failed(f"{run_id}: {lab.final(label, run_id)}")

    tally.spread(one)


def _refusal(ask: Callable[[], object]) -> dobby.DobbyError | None:
    try:
        ask()
    except dobby.DobbyError as error:
        return error
    return None


EXPERIMENTS = (
    Experiment("trees-stopped", 500, 12, trees),
    Experiment("survivors-named", 8, 1, survivors),
)
