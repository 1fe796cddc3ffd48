"""New labels, and the first launch on a host that has nothing of dobby's."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from bench import repos, timing
from bench.place import NO_ENVIRONMENT
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place


# A clone and a sandbox of the large repository take 2 GB a round, and there is no spare any more once
# four fifths of the disk are full.
MOST_LARGE = 7


def measure(place: Place, rounds: int) -> Iterator[Row]:
    yield from _new_labels(place, rounds, repos.SMALL, straight=0.8, quiet=0.4)
    yield from _bare_host(place, rounds)
    yield from _new_labels(place, min(rounds, MOST_LARGE), repos.LARGE, straight=None, quiet=0.1)


def _new_labels(
    place: Place, rounds: int, name: str, straight: float | None, quiet: float
) -> Iterator[Row]:
    """A new label straight after another one, and one once the host is quiet again, so that whatever
    is made ready in the background is there."""
    repo = place.repository(name)
    place.launch(repo, "main", "first", *NO_ENVIRONMENT)
    cache = f"{place.home}/.dobby/projects/{os.path.basename(repo)}/cache.git"
    head = repos.git(repo, "rev-parse", "main").strip()
    place.sshd.run(["git", "-C", cache, "update-ref", "refs/heads/main", head])

    def clone() -> float:
        there = f"floor/{place.fresh('clone')}"
        return place.on_host(f"git clone -q --shared -b main {cache} {there} && cd {there} && echo first")

    def new() -> float:
        return place.launch(repo, "main", place.fresh(), *NO_ENVIRONMENT)

    found: dict[str, list[float]] = {"F": [], "quiet": [], "straight": []}
    for _ in range(rounds):
        place.await_quiet()
        found["F"].append(clone())
        found["quiet"].append(new())
        if straight is not None:
            found["straight"].append(new())
    what = f"new label, {repos.files(repo):,} files, no environment"
    if straight is not None:
        yield timed(
            f"{what}, straight after another", found["straight"], found["F"], Target(times=straight)
        )
    yield timed(f"{what}, on a quiet host", found["quiet"], found["F"], Target(times=quiet))


def _bare_host(place: Place, rounds: int) -> Iterator[Row]:
    """The host's and the laptop's files of dobby's are set aside before each round: to delete them
    then would slow what is measured."""
    repo = place.repository(repos.HEAVY)
    remote = f"{place.home}/heavy"
    subprocess.run(["git", "clone", "-q", "--bare", repo, remote], check=True)
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", place.sshd.user, remote], check=True)
    place.sshd.run(["mkdir", "-p", "aside"])

    def clone() -> float:
        there = f"{place.folder}/{place.fresh('heavy')}"
        url = f"{place.sshd.destination}:{remote}"
        return timing.whole(["git", "clone", "-q", url, there], place.env, "/")

    def first() -> float:
        place.await_quiet()
        place.sshd.run(["mv", ".dobby", f"aside/{place.fresh('dobby')}"])
        laptop = f"{place.folder}/{place.fresh('home')}"
        os.mkdir(laptop, 0o700)
        return place.launch(repo, "main", "first", *NO_ENVIRONMENT, home=laptop)

    place.launch(repo, "main", "first", *NO_ENVIRONMENT)
    found = timing.interleaved({"F": clone, "first": first}, rounds)
    yield timed(
        "first launch on a bare host, 120 MB repository", found["first"], found["F"], Target(times=1.2)
    )
