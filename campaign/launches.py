"""Launches whose link or agent fails: whatever happens, one run each."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.client.drive import doctor, masters, remove_agents
from tests.client.faulty_ssh import FaultySsh
from tests.wait import until

import dobby
from campaign import relay
from campaign.frame import Experiment
from campaign.lab import RAN

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from campaign.frame import Tally
    from campaign.lab import Lab
    from dobby import Client

LABELS = 4


def _settle(lab: Lab, tally: Tally, number: int, run_id: str) -> None:
    """The run is brought to its end, and its command was started once."""
    state = lab.final(_label(number), run_id)
    if state["status"] != "succeeded":
        tally.failed(f"{run_id}: {state}")
    if lab.ran()[run_id] != 1:
        tally.failed(f"{run_id}: its command was started {lab.ran()[run_id]} times")


def _once_each(lab: Lab, tally: Tally) -> None:
    """At the very end, so that nothing has started anything later on."""
    found = list(Path(lab.host.home, "projects/project/jobs").glob("*/runs/*"))
    ids = sorted(path.name for path in found if not path.name.startswith("warm"))
    if ids != sorted(f"r{number}" for number in range(tally.wanted)):
        tally.failed(f"{len(ids)} runs for {tally.wanted} launches")
    twice = {run_id: times for run_id, times in lab.ran().items() if times != 1}
    if twice:
        tally.failed(f"started more than once: {twice}")


def _label(number: int) -> str:
    return f"job{number % LABELS}"


def _insist(lab: Lab, client: Client, number: int) -> None:
    """Launch as people do: who is told that nothing is known repeats it with the same id."""
    while True:
        try:
            lab.launch(client, RAN, f"r{number}", label=_label(number), if_running="queue")
            return
        except dobby.Unreachable:
            continue


class Cutting:
    """A link of one worker, over a connection of its own that is cut as planned."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self._folder = lab, lab.directory(name)
        self._runtime = lab.directory(f"{name}/run")
        os.chmod(self._runtime, 0o700)
        words = [sys.executable, "-I", "-S", os.path.abspath(relay.__file__), self._folder]
        proxy = f"{shlex.join(words)} %h %p"
        program = f"{self._folder}/ssh"
        Path(program).write_text(
            f'#!/bin/sh\nexec {lab.sshd.ssh} -o {shlex.quote(f"ProxyCommand={proxy}")} "$@"\n'
        )
        os.chmod(program, 0o755)
        self.plan([])
        self.said: list[str] = []
        environ = {"DOBBY_SSH": program, "XDG_RUNTIME_DIR": self._runtime}
        self.client = lab.client(self.said.append, **environ)

    def plan(self, lines: list[str]) -> None:
        Path(self._folder, "plan").write_text("".join(f"{line}\n" for line in lines))

    def drop(self) -> None:
        """The next call makes a connection of its own."""
        for pid in masters(self._runtime):
            os.kill(pid, signal.SIGKILL)

    def sizes(self) -> dict[str, int]:
        """What a whole launch sends up and down."""
        passed = Path(self._folder, "passed")
        self._lab.launch(self.client, "true", "warm2", label="warm")
        self.drop()
        up, down = until(lambda: passed.exists() and passed.read_text()).split()  # type: ignore[union-attr]
        return {"up": int(up), "down": int(down)}


def cuts(lab: Lab, tally: Tally) -> None:
    """Connections that are cut at any byte, one way or the other."""
    lab.launch(lab.client(), "true", "warm1", label="warm").wait()
    links = [Cutting(lab, f"cut{number}") for number in range(LABELS)]
    sizes = links[0].sizes()

    def plan(chance: random.Random) -> list[str]:
        ways = [chance.choice(["up", "down"]) for _ in range(chance.choice([1, 1, 1, 2, 3, 4]))]
        return [f"{way} {1 + chance.randrange(sizes[way])}" for way in ways]

    def one(number: int, chance: random.Random) -> None:
        link = links[number % LABELS]
        link.plan(plan(chance))
        _insist(lab, link.client, number)
        link.drop()
        _settle(lab, tally, number, f"r{number}")

    _in_lanes(tally, one)
    _once_each(lab, tally)
    hit = sum("trying again" in sentence for link in links for sentence in link.said)
    if hit < tally.wanted / 4:
        tally.failed(f"only {hit} launches were cut while they were asking")


def _in_lanes(tally: Tally, one: Callable[[int, random.Random], None]) -> None:
    """A worker for each label, whose link is its own."""
    lanes = [threading.Lock() for _ in range(LABELS)]

    def alone(number: int, chance: random.Random) -> None:
        with lanes[number % LABELS]:
            one(number, chance)

    tally.spread(alone, LABELS)


def lost_acknowledgements(lab: Lab, tally: Tally) -> None:
    """The host has accepted; the reply that says so never arrives."""
    links = [FaultySsh(lab.sshd, f"{lab.folder}/lost{number}") for number in range(LABELS)]
    clients = [lab.client(DOBBY_SSH=link.program) for link in links]
    lab.launch(lab.client(), "true", "warm1", label="warm").wait()

    def one(number: int, chance: random.Random) -> None:
        link = links[number % LABELS]
        times = chance.choice([1, 1, 2])
        link.plan(*["lose done"] * times)
        run = lab.launch(
            clients[number % LABELS], RAN, f"r{number}", label=_label(number), if_running="queue"
        )
        if link.unused or not run.run.already:
            tally.failed(f"r{number}: the acknowledgement was not lost")
        _settle(lab, tally, number, f"r{number}")

    _in_lanes(tally, one)
    _once_each(lab, tally)


# Where the agent dies. "spawned": its child lives, and kills it.
SITES = ("accepted", "marked", "starting", "spawned", "started")
DIES = """
def _dies(site, run):
    flag = f"{run.home}/die.{run.run_id}"
    try:
        with open(flag) as file:
            due = file.read() == site
    except OSError:
        return
    if due:
        os.unlink(flag)
        os.kill(os.getppid() if site == "spawned" else os.getpid(), 9)

def _dying(call, before="", after="", run_of=lambda first: first):
    def wrapped(*words, **options):
        _dies(before, run_of(words[0]))
        result = call(*words, **options)
        _dies(after, run_of(words[0]))
        return result
    return wrapped

store.accept = _dying(store.accept, after="accepted")
outbox.add = _dying(outbox.add, after="marked")
start.start = _dying(start.start, "starting", "started", lambda charge: charge.run)
start._detach = _dying(start._detach, after="spawned")
"""


def kills_before_spawn(lab: Lab, tally: Tally) -> None:
    """The agent is killed between accepting a run and telling of it."""
    lab.launch(lab.client(), "true", "warm1", label="warm").wait()
    doctor(lab.host, "agent/verbs/launch.py", DIES)

    def one(number: int, chance: random.Random) -> None:
        flag = Path(lab.host.home, f"die.r{number}")
        flag.write_text(chance.choice(SITES))
        os.chown(flag, lab.sshd.uid or -1, -1)
        said: list[str] = []
        lab.launch(lab.client(said.append), RAN, f"r{number}", label=_label(number), if_running="queue")
        if flag.exists() or not any("trying again" in sentence for sentence in said):
            tally.failed(f"r{number}: its agent was not killed")
        _settle(lab, tally, number, f"r{number}")

    try:
        _in_lanes(tally, one)
        _once_each(lab, tally)
    finally:
        remove_agents(lab.host)


EXPERIMENTS = (
    Experiment("cuts", 1000, 8, cuts),
    Experiment("lost-acknowledgements", 200, 12, lost_acknowledgements),
    Experiment("kills-before-spawn", 200, 12, kills_before_spawn),
)
