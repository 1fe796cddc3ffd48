"""poetry and pipenv themselves, with packages from a directory: where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place, offline

from dobby.agent.steps import StepFailed
from dobby.core import failure

if TYPE_CHECKING:
    from pathlib import Path

SHOW = ("python", "-c", "import tiny; print(tiny.VERSION)")
POETRY = """\
[tool.poetry]
package-mode = false
[tool.poetry.dependencies]
python = ">=3.9"
tiny = {{ path = "{}" }}
"""
PIPENV = """\
[[source]]
url = "file:///nowhere"
verify_ssl = false
name = "here"
[packages]
tiny = "=={}"
"""
INSTALLERS = f"{sys.prefix}/installers/bin"  # scripts/venv.sh


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not shutil.which(program, path=INSTALLERS), reason=f"there is no {program} here: scripts/venv.sh"
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = offline(tmp_path, tmp_path / "caches")
    place.env["POETRY_CACHE_DIR"] = str(tmp_path / "caches/poetry")
    place.env["PATH"] += f":{INSTALLERS}"
    return place


def lock(place: Place, *argv: str) -> str:
    """What the tool itself makes of what is committed."""
    place.check_out()
    # pipenv would first make an environment to lock in.
    env = {**place.env, "VIRTUAL_ENV": f"{sys.prefix}/installers"}
    done = subprocess.run(argv, cwd=place.sandbox, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name = {"poetry": "poetry.lock", "pipenv": "Pipfile.lock"}[argv[0]]
    place.write({name: (place.sandbox / name).read_text()})
    return name


def prove(place: Place, tmp_path: Path, tool: str, file: str, one: str, two: str, stale: str) -> None:
    place.write({file: one})
    lock(place, tool, "lock")
    env = place.prepare()
    assert place.say(env, *SHOW) == "1"
    assert env["VIRTUAL_ENV"] == str(place.root / tool / "venv")
    place.prepare()
    assert place.note == f"{tool}: unchanged"
    place.write({file: two})
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert raised.value.command.startswith(f"{tool} install ")
    assert stale in failure.telling(raised.value.tail)


@needs("poetry")
def test_poetry(place: Place, tmp_path: Path) -> None:
    one, two = (POETRY.format(tmp_path / f"wheels/tiny-{n}-py3-none-any.whl") for n in "12")
    # What the project's own poetry.toml says of virtualenvs does not lead elsewhere.
    place.write({"poetry.toml": "[virtualenvs]\nin-project = true\ncreate = false\n"})
    prove(place, tmp_path, "poetry", "pyproject.toml", one, two, "poetry.lock")
    lock(place, "poetry", "lock")
    assert place.say(place.prepare(), *SHOW) == "2"


@needs("pipenv")
def test_pipenv(place: Place, tmp_path: Path) -> None:
    one, two = (PIPENV.format(n) for n in "12")
    prove(place, tmp_path, "pipenv", "Pipfile", one, two, "Your Pipfile.lock")
    # What has left the lock is removed from an environment that is brought up to date.
    place.write({"Pipfile": one})
    place.prepare()
    place.write({"Pipfile": one.replace('tiny = "==1"\n', "")})
    lock(place, "pipenv", "lock")
    with pytest.raises(AssertionError, match="No module named 'tiny'"):
        place.say(place.prepare(), *SHOW)
    assert "Uninstalling tiny" in place.log.read_text()
