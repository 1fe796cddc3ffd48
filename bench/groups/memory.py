"""What live runs take on the host while their commands are silent: memory, CPU, wake-ups."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import processes, repos
from bench.table import Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

MANY = 12
IDLE_S = 60
NAMES = ("dobby-run", "dobby-wrap")  # supervisor and wrapper


def measure(place: Place, rounds: int) -> Iterator[Row]:
    """Here a round is a run, as `ps` tells its memory: it does not vary with the machine's load."""
    repo = place.repository(repos.SMALL)
    labels = [place.fresh("idle") for _ in range(MANY)]
    try:
        _launch(place, repo, labels[:1])
        yield _memory("one alive", place, 1, 7)
        _launch(place, repo, labels[1:])
        yield _memory(f"each of {MANY} alive", place, MANY, 4)
        yield from _idle(place)
    finally:
        for label in labels:
            place.verb("stop", label, repo=repo)


def _launch(place: Place, repo: str, labels: list[str]) -> None:
    for label in labels:
        place.start(repo, label, "exec sleep 1000")
    deadline = time.monotonic() + 60
    while len(place.processes("sleep")) < len(place.processes("dobby-run")):
        if time.monotonic() > deadline:
            raise RuntimeError("the runs do not start")
        time.sleep(0.1)
    time.sleep(2)  # their starts are told, and all of them sleep


def _memory(what: str, place: Place, runs: int, limit: float) -> Row:
    taken = sum(map(processes.pss_mb, place.processes(*NAMES)))
    return Row(f"memory of a live run (PSS), {what}", [taken / runs], "MB", target=Target(at_most=limit))


def _idle(place: Place) -> Iterator[Row]:
    pids = place.processes(*NAMES)
    woken, cpu = processes.wakeups(pids), processes.cpu_ms(pids)
    time.sleep(IDLE_S)
    woken, cpu = processes.wakeups(pids) - woken, processes.cpu_ms(pids) - cpu
    each = woken * 60 / IDLE_S / MANY
    yield Row("wake-ups of an idle run", [each], "a minute", target=Target(at_most=4))
    yield Row(f"CPU of {MANY} idle runs, {IDLE_S} s", [cpu], "ms", target=Target(at_most=0))
