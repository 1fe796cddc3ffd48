"""How many launches a second the host acknowledges, asked for by the Python API."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench import repos
from bench.table import Row, Target
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

LAUNCHES = 200
MAX_RUNNING = 2
ROUNDS_A_BATCH = 5


def measure(place: Place, rounds: int) -> Iterator[Row]:
    repo = f"{place.folder}/little"
    os.mkdir(repo)
    repos.git(repo, "init", "-q", "-b", "main")
    repos.git(repo, "commit", "-q", "--allow-empty", "-m", "one")
    place.put(f"{place.home}/.dobby/config.toml", f"max_running = {MAX_RUNNING}\n".encode(), "600")
    client = Client(cwd=repo, environ=place.env)
    host = place.sshd.destination
    client.run("main", "true", label="first", host=host, environment=("none",))
    rates = []
    try:
        for _ in range(max(1, rounds // ROUNDS_A_BATCH)):
            labels = [place.fresh("quick") for _ in range(LAUNCHES)]
            began = time.perf_counter()
            for label in labels:
                client.run("main", "true", label=label, host=host, environment=("none",))
            rates.append(LAUNCHES / (time.perf_counter() - began))
            place.await_quiet()
    finally:
        place.put(f"{place.home}/.dobby/config.toml", b"", "600")
    what = f"{LAUNCHES} one after another, max_running = {MAX_RUNNING}"
    yield Row(
        f"acknowledged launches by the Python API, {what}",
        rates,
        "a second",
        target=Target(at_least=30),
    )
