"""A new label whose environment must be made: what it needs is in uv's cache already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench import place as places
from bench import repos, timing
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

PACKAGES = ("pandas", "numpy", "sqlalchemy", "requests")
BRANCH = "packages"


def measure(place: Place, rounds: int) -> Iterator[Row]:
    repo = prepare(place)
    uv = _uv(place)

    def by_hand() -> float:
        there = f"floor/{place.fresh('venv')}"
        install = f"{uv} pip install -q -r floor/requirements.txt"
        return place.on_host(
            f"export {_certificates()}; {uv} venv -q {there} && VIRTUAL_ENV={there} {install} && echo first"
        )

    def new() -> float:
        return place.launch(repo, BRANCH, place.fresh())

    by_hand(), new()
    found = timing.interleaved({"F": by_hand, "new": new}, rounds)
    yield timed(f"new label, {' + '.join(PACKAGES)}, warm", found["new"], found["F"], Target(times=1.3))


def prepare(place: Place) -> str:
    """The small repository, with a branch that needs PACKAGES, and a host that has uv."""
    repo = place.repository(repos.SMALL)
    wanted = "".join(f"{name}\n" for name in PACKAGES)
    repos.git(repo, "checkout", "-q", "-B", BRANCH, "main")
    repos.git(repo, "rm", "-q", "pyproject.toml")  # the floor installs the packages alone
    with open(f"{repo}/requirements.txt", "w") as file:
        file.write(wanted)
    repos.git(repo, "add", "-f", "requirements.txt")
    repos.git(repo, "commit", "-q", "-m", "packages")
    repos.git(repo, "checkout", "-q", "main")
    place.put("floor/requirements.txt", wanted.encode())
    found = places.uv()
    if found is None:
        raise RuntimeError("there is no uv: pip install uv, beside this Python or on PATH")
    with open(found, "rb") as program:
        place.put(_uv(place), program.read(), "755")
    settings = [f'{name} = "{value}"\n' for name, _, value in [_certificates().partition("=")] if name]
    place.put(f"{place.home}/.dobby/config.toml", "".join(["[variables]\n", *settings]).encode(), "600")
    return repo


def _uv(place: Place) -> str:
    return f"{place.home}/.local/bin/uv"


def _certificates() -> str:
    """Where a company's certificates are only in the system's store, uv must be told."""
    path = os.environ.get("SSL_CERT_FILE", "")
    return f"SSL_CERT_FILE={path}" if path else ""
