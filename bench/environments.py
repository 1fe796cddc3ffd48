"""`python -m bench.environments`: what a preparation costs, beside the tool alone at the same work.

    kind | cold | warm | unchanged | the tool

cold: caches empty. warm: a new label, caches full. unchanged: the same label again. The tool: its
own commands in a fresh directory, caches full. uv, pip and npm fetch a few small packages from the index
that the machine is set up for; poetry and pipenv install one from a directory. A kind whose tool is
absent is left out. `--rounds N` (default 3).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.agent.places import UV, Place, make_wheel

from bench import timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    Argv = tuple[str, ...]

PACKAGES = ("six", "iniconfig", "packaging", "click", "pluggy")
_PROJECT = f"""\
[project]
name = "x"
version = "1"
requires-python = ">=3.9"
dependencies = {list(PACKAGES)}
"""
_POETRY = """\
[tool.poetry]
package-mode = false
[tool.poetry.dependencies]
python = ">=3.9"
tiny = {{ path = "{}" }}
"""
_PIPENV = (
    '[[source]]\nurl = "https://pypi.org/simple"\nverify_ssl = true\nname = "p"\n[packages]\ntiny = "==1"\n'
)
_NODE = '{"name": "x", "version": "1.0.0", "dependencies": {"is-odd": "3.0.1", "semver": "7.6.3"}}'


class Case:
    """One kind: its files, the command that locks them, the tool's own commands in a copy of them.
    `settings` are the host's; `variables` tell the tool alone where to install."""

    def __init__(
        self,
        kind: str,
        files: Mapping[str, str],
        lock: Argv,
        bare: tuple[Argv, ...],
        settings: Mapping[str, str] = {},
        **variables: str,
    ) -> None:
        self.kind, self.files, self.lock, self.bare = kind, files, lock, bare
        self.settings, self.variables = settings, variables


def cases(wheel: Path) -> list[Case]:
    venv = (sys.executable, "-m", "venv", "v")
    install = ("poetry", "install", "--sync", "--no-interaction", "--no-ansi")
    pip = ("v/bin/python", "-m", "pip", "install", "-r", "requirements.txt")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    pipenv = ("pipenv", "install", "--deploy", "--python", sys.executable)
    return [
        Case("uv", {"pyproject.toml": _PROJECT}, ("uv", "lock"), (("uv", "sync", "--frozen"),)),
        Case("pip", {"requirements.txt": "\n".join(PACKAGES)}, (), (venv, pip)),
        Case(
            "poetry",
            {"pyproject.toml": _POETRY.format(wheel)},
            ("poetry", "lock"),
            ((*venv[:3], "--without-pip", "v"), install),
            VIRTUAL_ENV="{}/v",
        ),
        Case("pipenv", {"Pipfile": _PIPENV}, ("pipenv", "lock"), (pipenv,), offline, WORKON_HOME="{}/v"),
        Case("node", {"package.json": _NODE}, ("npm", "install"), (("npm", "ci"),)),
    ]


def measure(case: Case, folder: Path, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"cold": [], "warm": [], "unchanged": [], "the tool": []}
    for number in range(rounds):
        root = folder / f"{case.kind}{number}"
        caches = root / "caches"
        locked = _locked(case, _place(case, root / "lock", root / "other caches"))
        for name in ("cold", "warm"):
            place = _place(case, root / name, caches)
            place.write(locked)
            found[name].append(_prepared(place, case))
        found["unchanged"].append(_prepared(place, case))
        alone = _place(case, root / "bare", caches)
        alone.write(locked)
        found["the tool"].append(_bare(case, alone))
    return found


def _place(case: Case, folder: Path, caches: Path) -> Place:
    folder.mkdir(parents=True)
    place = Place(folder, caches, case.settings)
    place.env.update(
        POETRY_CACHE_DIR=str(caches / "poetry"), PIPENV_CACHE_DIR=str(caches / "pipenv"),
        npm_config_cache=str(caches / "npm"), UV_PYTHON_DOWNLOADS="never",
    )  # fmt: skip
    return place


def _locked(case: Case, place: Place) -> dict[str, str]:
    """The files, with the lock that the tool made of them."""
    place.write(case.files)
    place.check_out()
    if case.lock:
        env = {**place.env, "WORKON_HOME": str(place.root)}
        subprocess.run(case.lock, cwd=place.sandbox, env=env, check=True, capture_output=True)
    names = ("uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json")
    made = {name: place.sandbox / name for name in names}
    return {**case.files, **{n: path.read_text() for n, path in made.items() if path.exists()}}


def _bare(case: Case, place: Place) -> float:
    """In a checkout as deep as the others: Poetry's locks hold relative paths."""
    place.check_out()
    there = str(place.sandbox)
    env = {**place.env, **{name: text.format(there) for name, text in case.variables.items()}}
    return sum(timing.whole(argv, env, there) for argv in case.bare)


def _prepared(place: Place, case: Case) -> float:
    began = time.perf_counter()
    place.prepare(environment=(case.kind,))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    tools = {"uv": UV, "pip": sys.executable, "node": shutil.which("npm")}
    names = ("cold", "warm", "unchanged", "the tool")
    print(f"{'ms':8}" + "".join(f"{name:>24}" for name in names))
    with tempfile.TemporaryDirectory() as made:
        for case in cases(make_wheel(Path(made, "wheels"), "tiny", "1")):
            if not tools.get(case.kind, shutil.which(case.kind)):
                print(f"{case.kind:8} left out: the tool is not here")
                continue
            found = measure(case, Path(made), rounds)
            print(f"{case.kind:8}" + "".join(f"{timing.milliseconds(found[n]):>24}" for n in names))


if __name__ == "__main__":
    main()
