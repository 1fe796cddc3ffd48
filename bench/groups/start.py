"""From Enter to the first line, where the host has all; and how fast the program itself starts."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

from bench import repos, timing
from bench.groups import environment
from bench.place import NO_ENVIRONMENT
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.place import Place

# The same command, in that same directory, detached, and its first line shown.
PEERS = {
    "dtach": "rm -f peer.log; : >peer.log; dtach -n peer.sock sh -c 'echo first >peer.log'; "
    "tail -n +1 -f peer.log | head -n 1",
    "tsp": 'id=$(tsp sh -c "echo first") && tsp -w "$id" && tsp -c "$id"',
    "nq": 'export NQDIR=$PWD; id=$(nq sh -c "echo first") && nq -w "$id" && grep -x first "$id"',
}
CHANGES = {repos.SMALL: 60.0, repos.MIDDLE: 60.0, repos.LARGE: 120.0}  # ms over the floor


def measure(place: Place, rounds: int) -> Iterator[Row]:
    yield from _program(place, rounds)
    yield from _unchanged(place, rounds)
    for name, plus in CHANGES.items():
        yield from _changed(place, rounds, name, plus)


def _program(place: Place, rounds: int) -> Iterator[Row]:
    found = timing.interleaved(
        {
            "F": place.python,
            "--version": lambda: place.dobby("--version"),
            "--help": lambda: place.dobby("--help"),
        },
        rounds,
    )
    for option in ("--version", "--help"):
        yield timed(f"`dobby {option}`", found[option], found["F"], Target(times=5))


def _unchanged(place: Place, rounds: int) -> Iterator[Row]:
    repo = environment.prepare(place)
    place.launch(repo, environment.BRANCH, "same")
    place.launch(repo, "main", "bare", *NO_ENVIRONMENT)
    sandbox = f"{place.job(repo, 'same')}/sandbox"
    measures: dict[str, Callable[[], float]] = {
        "F": lambda: place.on_host(f"cd {sandbox} && echo first") + place.python(),
        "same": lambda: place.launch(repo, environment.BRANCH, "same"),
        "bare": lambda: place.launch(repo, "main", "bare", *NO_ENVIRONMENT),
    }
    elsewhere = f"{place.home}/floor/peer"  # what they leave there is no change of the job's
    place.sshd.run(["mkdir", "-p", elsewhere])
    peers = [name for name in PEERS if shutil.which(name, path="/usr/bin:/bin")]
    for name in peers:
        measures[name] = functools.partial(place.on_host, f"cd {elsewhere} && {PEERS[name]}")
    found = timing.interleaved(measures, rounds)
    if "tsp" in peers:
        place.sshd.run(["tsp", "-K"])
    yield timed(
        "Enter to first line, same label with its environment, nothing changed",
        found["same"],
        found["F"],
        Target(times=4, at_most=80),
    )
    yield timed("the same, no environment", found["bare"], found["F"])
    for name in peers:
        yield timed(f"peer: ssh + {name}, in a directory that is there", found[name], found["F"])


def _changed(place: Place, rounds: int, name: str, plus: float) -> Iterator[Row]:
    repo = place.repository(name)
    edited = f"{repo}/{repos.git(repo, 'ls-files', '*.py').splitlines()[100]}"
    sandbox = f"{place.job(repo, 'change')}/sandbox"
    status = ["git", "-C", repo, "status", "--porcelain"]

    def change() -> float:
        with open(edited, "a") as file:
            file.write("# one more line\n")
        return place.launch(repo, ".", "change", *NO_ENVIRONMENT)

    def floor() -> float:
        there = place.on_host(f"cd {sandbox} && git status --porcelain >/dev/null && echo first")
        return timing.whole(status, place.env, "/") + there

    place.launch(repo, "main", "change", *NO_ENVIRONMENT)
    change()
    found = timing.interleaved({"F": floor, "change": change}, rounds)
    count = repos.files(repo)
    repos.git(repo, "checkout", "-q", "-f", "main")
    yield timed(
        f"one changed line under `.`, {count:,} files", found["change"], found["F"], Target(plus=plus)
    )
