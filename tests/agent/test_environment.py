"""Choosing, keying, building and activating environments: without a package index."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import APP, QUICK, UV, Place, needs_uv

from dobby.agent import built, environment, spawn, survey
from dobby.agent.steps import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

in_each_kind = pytest.mark.parametrize("kind", [pytest.param("uv", marks=needs_uv), "pip"])

# Modules of a checkout, which are not to be taken for Python's own.
SHADOWS = ("venv.py", "logging.py", "pip.py", "types.py", "uv.py")


def no_fork() -> int:
    raise AssertionError("a process was started")


def test_a_project_that_declares_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({"a.py": "", "pyproject.toml": "[tool.ruff]\nline-length = 99\n"})
    monkeypatch.setattr(os, "fork", no_fork)
    assert place.prepare() == place.env
    assert place.note == "none declared"
    place.write({"requirements.txt": "nonsense is not installed"})
    assert place.prepare(environment=("none",)) == place.env


@in_each_kind
def test_requirements_are_installed_once(place: Place, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({"requirements.txt": "-r more/all.txt\n", "more/all.txt": "tiny==1\n"})
    place.write(dict.fromkeys(SHADOWS, "raise SystemExit(3)\n"))
    env = place.prepare(environment=(kind,))
    show = ("python", "-I", "-c", "import tiny; print(tiny.VERSION)")
    assert place.say(env, *show) == "1"
    assert place.note.startswith(f"{kind}: dependencies built, ")
    assert env["VIRTUAL_ENV"] == str(place.root / kind / "venv")
    assert environment.activated(place.job, place.env) == env

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", no_fork)
        place.write({"other.py": ""})
        assert place.prepare(environment=(kind,)) == env
    assert place.note == f"{kind}: unchanged"

    place.write({"more/all.txt": "tiny==2\n"})
    assert place.say(place.prepare(environment=(kind,)), *show) == "2"
    place.write({"requirements.txt": "\n"})
    with pytest.raises(AssertionError, match="No module named 'tiny'"):
        place.say(place.prepare(environment=(kind,)), *show)


def test_a_failed_build_is_said_and_never_reused(place: Place) -> None:
    place.write({"requirements.txt": "tiny==1\n"})
    place.prepare(environment=(QUICK,))
    place.write({"requirements.txt": "tiny==3\n"})
    for _ in range(2):
        with pytest.raises(StepFailed) as raised:
            place.prepare(environment=(QUICK,))
        assert raised.value.step == "environment"
        assert "tiny==3" in raised.value.tail
        assert "install" in raised.value.command
        assert raised.value.code
    place.write({"requirements.txt": "tiny==1\n"})
    place.prepare(environment=(QUICK,))
    assert "dependencies built" in place.note


@needs_uv
@pytest.mark.parametrize("killed_at", ["venv", "pip"])
def test_a_killed_build_is_never_reused(place: Place, tmp_path: Path, killed_at: str) -> None:
    """SIGKILL of the preparation itself, while a step runs."""
    killing, script = tmp_path / "killing", tmp_path / "bin" / "uv"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\n[ "$1" = {killed_at} ] && [ -e {killing} ] && kill -9 $PPID && exit\nexec {UV} "$@"\n'
    )
    script.chmod(0o755)
    place.env["PATH"] = f"{script.parent}:{place.env['PATH']}"
    place.write({"requirements.txt": "tiny==1\n"})
    place.prepare()
    killing.touch()
    place.write({"requirements.txt": "tiny==2\n"})
    pid = os.fork()
    if not pid:
        try:
            place.prepare()
        finally:
            os._exit(0)
    assert spawn.wait(pid) == -signal.SIGKILL
    killing.unlink()
    place.write({"requirements.txt": "tiny==1\n"})
    env = place.prepare()
    assert place.note.startswith("uv: dependencies built")
    assert place.say(env, "python", "-c", "import tiny; print(tiny.VERSION)") == "1"


def test_an_interpreter_that_the_host_removed_is_noticed(place: Place) -> None:
    place.write({"requirements.txt": "tiny\n"})
    env = place.prepare(environment=(QUICK,))
    python = place.root / QUICK / "venv/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert place.prepare(environment=(QUICK,)) == env
    assert "dependencies built" in place.note


def test_a_variable_of_the_host_that_steers_the_installer_counts(place: Place) -> None:
    place.write({"requirements.txt": "tiny\n"})
    secret = "https://user:canary@example.org/simple"
    for name in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        place.env[name] = secret
    place.prepare(environment=(QUICK,))
    for name in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        place.env[name] = "https://example.org/other"
    place.prepare(environment=(QUICK,))
    assert "dependencies built" in place.note
    keys = list((place.root / QUICK).glob("*.key"))
    assert keys
    assert not [key for key in keys if "canary" in key.read_text()]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        pytest.param("uv", ".", marks=needs_uv),
        pytest.param("uv", "./app", marks=needs_uv),
        pytest.param("uv", "app @ file:", marks=needs_uv),
        ("pip", "./app"),
    ],
)
def test_a_copy_that_requirements_ask_for_is_never_stale(place: Place, kind: str, line: str) -> None:
    if line.startswith("app @"):
        line = f"app @ file://{place.sandbox}/app"
    at = "" if line == "." else "app/"
    place.write({"requirements.txt": f"tiny\n{line}\n", **{at + k: v for k, v in APP.items()}})
    env = place.prepare(environment=(kind,))
    assert place.say(env, "app") == "one"
    place.write({f"{at}app.py": "def main():\n    print('two')\n"})
    env = place.prepare(environment=(kind,))
    assert place.say(env, "app") == "two"
    assert place.note.startswith(f"{kind}: project built")


@in_each_kind
def test_the_project_is_never_stale_and_what_its_build_wrote_is_there_on_a_rerun(
    place: Place, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(APP)
    assert place.say(place.prepare(environment=(kind,)), "app") == "one"
    made = place.sandbox / "app_version.py"
    made.chmod(0o640)
    dated = made.stat().st_mtime_ns
    place.check_out()
    assert not made.exists()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", no_fork)
        place.prepare(environment=(kind,))
    assert place.note == f"{kind}: unchanged"
    assert made.read_text() == "MADE = 'by the build'\n"
    assert made.stat().st_mtime_ns == dated
    place.write({"app.py": "def main():\n    print('two')\n"})
    assert place.say(place.prepare(environment=(kind,)), "app") == "two"


def test_nothing_is_put_back_through_a_symlink(place: Place, tmp_path: Path) -> None:
    place.write({"requirements.txt": "-e ./app", **{f"app/{k}": v for k, v in APP.items()}})
    place.prepare(environment=(QUICK,))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place.check_out()
    shutil.rmtree(place.sandbox / "app")
    (place.sandbox / "app").symlink_to(elsewhere)
    built.put_back(str(place.root / QUICK), place.job.sandbox)
    assert list(elsewhere.iterdir()) == []


def test_the_nearest_declaration_above_the_runs_directory_counts(place: Place) -> None:
    place.write(
        {"requirements.txt": "tiny==1\n", "a/requirements.txt": "tiny==2\n", "a/b/x": "", "c/x": ""}
    )
    show = ("python", "-c", "import tiny; print(tiny.VERSION)")
    for dir, version in (("a/b", "2"), ("a", "2"), ("c", "1"), ("", "1")):
        assert place.say(place.prepare(environment=(QUICK,), dir=dir), *show) == version


@needs_uv
def test_auto_takes_uv_where_the_host_has_it_else_pip(place: Place, tmp_path: Path) -> None:
    place.write({"requirements.txt": "tiny\n"})
    place.prepare()
    assert place.note.startswith("uv: ")
    place.env["PATH"] = place.env["PATH"].partition(":")[2]
    if not shutil.which("uv", path=place.env["PATH"]):
        place.prepare()
        assert place.note.startswith("pip: ")


def test_a_lock_needs_its_tool(place: Place) -> None:
    place.write({"uv.lock": "version = 1\n", "requirements.txt": "tiny\n"})
    place.env["PATH"] = "/nonexistent"
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert raised.value.tail.startswith(
        "[dobby] the host has no uv, and dobby could not get it: install it there"
    )
    assert not os.path.exists(f"{place.job.home}/tools/uv/made-by-dobby")


def test_debian_without_venv_is_told_what_to_install(place: Place, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "python3"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nif [ "$2" = -c ]; then echo {script}; exit; fi\n'
        "echo 'The virtual environment was not created successfully because ensurepip is not'\n"
        "echo available.\nexit 1\n"
    )
    script.chmod(0o755)
    place.env["PATH"] = f"{script.parent}:{place.env['PATH']}"
    place.write({"requirements.txt": "tiny\n"})
    with pytest.raises(StepFailed) as raised:
        place.prepare(environment=("pip",))
    assert "apt install python3-venv" in raised.value.tail
    assert raised.value.code == 1


def test_a_version_managers_shim_is_asked_once(place: Place, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    script = tmp_path / "bin" / "python3"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$*" >>{asked}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    place.env["PATH"] = f"{script.parent}:{place.env['PATH']}"

    def found() -> str:
        tree = survey.Checkout(place.job.sandbox, "sub", "s")
        tools = survey.tools(["python3"], place.env, tree, "/where", str(tmp_path / "memo"))
        return tools.found["python3"]

    place.write({"sub/x": ""})
    place.check_out()
    assert [found(), found()] == [os.path.realpath(sys.executable)] * 2
    assert len(asked.read_text().splitlines()) == 1
    place.write({".python-version": "3.11\n"})
    place.check_out()
    assert [found(), found()] == [os.path.realpath(sys.executable)] * 2
    assert len(asked.read_text().splitlines()) == 2
