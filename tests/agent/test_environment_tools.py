"""What dobby gets for a host that lacks it, which Python it takes, and what reaches a build."""

from __future__ import annotations

import copy
import os
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import QUICK, Place, make_wheel, needs_uv, offline
from tests.agent.sandboxes import in_child

from dobby.agent import environment, spawn, variables
from dobby.agent.steps import StepFailed
from dobby.core.host_settings import HostSettings

if TYPE_CHECKING:
    from collections.abc import Callable


def add_program(wheel: Path, name: str, code: str) -> None:
    """A console script NAME that runs `code`, in a wheel of that name."""
    with zipfile.ZipFile(wheel) as archive:
        files = {entry: archive.read(entry).decode() for entry in archive.namelist()}
    info = next(entry for entry in files if entry.endswith("/METADATA")).partition("/")[0]
    files[f"{name}.py"] = f"def main():\n    {code}\n"
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}:main\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def at_once(*acts: Callable[[], object]) -> list[int]:
    """Each in a process of its own; their exit codes."""
    pids = [in_child(act) for act in acts]
    return [spawn.wait(pid) for pid in pids]


@pytest.fixture
def without_uv(place: Place, tmp_path: Path) -> Place:
    """A host without uv, whose index has a stand-in for it, which can but say that it runs."""
    add_program(make_wheel(tmp_path / "wheels", "uv", "1"), "uv", "import sys; print('stand-in', sys.argv)")
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "sh").symlink_to("/bin/sh")
    place.env["PATH"] = str(bin)
    return place


def another_label(place: Place) -> Place:
    """Another job on the same host, with the same log."""
    other = copy.copy(place)
    other.job = place.job.replace(label="other")
    other.sandbox, other.root = Path(other.job.sandbox), Path(other.job.environment)
    return other


def test_uv_is_got_once_where_the_host_has_none(without_uv: Place, tmp_path: Path) -> None:
    place, other = without_uv, another_label(without_uv)
    for one in (place, other):
        one.write({"uv.lock": "version = 1\n", "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n'})
    for name in ("uv", "python"):  # half of one, as a killed run leaves it
        os.makedirs(f"{place.job.home}/tools/uv/bin", exist_ok=True)
        shutil.copy("/bin/false", f"{place.job.home}/tools/uv/bin/{name}")
    assert at_once(place.prepare, other.prepare) == [0, 0]
    log = place.log.read_text()
    assert log.count("[dobby] the host has no uv: getting it, into ") == 1
    assert log.count("stand-in ['") >= 3  # --version once, then sync by both
    env = environment.activated(place.job, place.env)
    assert place.say(env, "uv", "run", "x").endswith("'run', 'x']"), "the command has it too"
    assert shutil.which("pip", path=env["PATH"]) is None, "and nothing of what lies beside it"


# --- which Python ---------------------------------------------------------------------------------


def fake_python(directory: Path, name: str, version: str) -> Path:
    """A script that answers what dobby asks an interpreter, and can make no venv."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    answer = "\\n".join([str(path), *version.split(".")])
    path.write_text(f'#!/bin/sh\n[ "$2" = -c ] && printf "{answer}\\n" && exit\necho "used $0"; exit 1\n')
    path.chmod(0o755)
    return path


def test_the_python_that_the_project_wants_is_taken(place: Place, tmp_path: Path) -> None:
    for name, version in (("python3", "3.9.2"), ("python3.77", "3.77.1"), ("python3.78", "3.78.0")):
        fake_python(tmp_path / "bin", name, version)
    place.env["PATH"] = f"{tmp_path}/bin:/usr/bin:/bin"
    place.write({"requirements.txt": "", ".python-version": "3.77\n"})
    with pytest.raises(StepFailed) as raised:
        place.prepare(environment=("pip",))
    assert raised.value.tail == f"used {tmp_path}/bin/python3.77"
    place.write({".python-version": "3.99.1\n"})
    with pytest.raises(StepFailed) as raised:
        place.prepare(environment=("pip",))
    assert raised.value.tail.startswith("the project wants Python 3.99.1 (.python-version); the host has ")
    assert "3.77 and 3.78: install it there" in raised.value.tail


@needs_uv
def test_a_python_that_uv_cannot_find_is_named(place: Place) -> None:
    place.write({"requirements.txt": "", ".python-version": "3.99\n"})
    with pytest.raises(StepFailed) as raised:
        place.prepare(environment=("uv",))
    assert raised.value.tail.startswith("[dobby] uv finds no Python that the project wants")
    assert "3.99" in raised.value.tail


# --- what reaches a build -------------------------------------------------------------------------


def test_no_installers_settings_of_ours_reach_the_host() -> None:
    ours = {
        "VIRTUAL_ENV": "x",
        "PYTHONPATH": "x",
        "UV_PYTHON": "x",
        "CONDA_PREFIX": "x",
        "POETRY_VIRTUALENVS_PATH": "x",
        "PIPENV_PIPFILE": "x",
        "PIP_USER": "1",
        "WORKON_HOME": "x",
    }
    of_host = HostSettings(variables={"UV_INDEX_URL": "https://example.org/simple"})
    env = variables.of_host(of_host, {**ours, "PATH": "/bin", "HTTPS_PROXY": "p"})
    assert not ours.keys() & env.keys()
    assert (env["UV_INDEX_URL"], env["HTTPS_PROXY"]) == ("https://example.org/simple", "p")


def test_two_labels_at_once_with_two_versions_of_one_package(tmp_path: Path, caches: Path) -> None:
    """They share the caches of the installer, and nothing else."""
    places = []
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        places.append(offline(tmp_path / label, caches))
    for place, version in zip(places, "12"):
        place.write({"requirements.txt": f"tiny=={version}\n"})
    acts = [partial(place.prepare, environment=(QUICK,)) for place in places]
    assert at_once(*acts) == [0, 0]
    for place, version in zip(places, "12"):
        env = place.prepare(environment=(QUICK,))
        assert place.note == f"{QUICK}: unchanged"
        assert place.say(env, "python", "-c", "import tiny; print(tiny.VERSION)") == version


def test_the_setup_sees_forwarded_values_and_none_is_stored(place: Place, tmp_path: Path) -> None:
    place.write({"a": "", "key": "1"})
    secret = "canary-of-a-token"
    place.prepare(values={"TOKEN": secret}, setup='test "${#TOKEN}" = 17', setup_key=("key",))
    with pytest.raises(StepFailed) as raised:
        place.prepare(values={"TOKEN": secret}, setup='echo "no $TOKEN"; exit 3')
    assert (raised.value.code, raised.value.tail) == (3, "no ***")
    stored = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert stored
    assert not [path for path in stored if secret.encode() in path.read_bytes()]
