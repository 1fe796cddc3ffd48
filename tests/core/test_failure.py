"""What is shown of a failed step: the command as typed, and the line that tells most."""

from __future__ import annotations

import pytest

from dobby.core import failure, wording

UV = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because tiny was not found in the package registry and you require
      tiny==3, we can conclude that your requirements are unsatisfiable.

hint: Packages were unavailable because the network was disabled.
"""
PIP = """\
Looking in links: /wheels
ERROR: Could not find a version that satisfies the requirement tiny==3 (from versions: 1, 2)
ERROR: No matching distribution found for tiny==3
"""
POETRY = (
    "Installing dependencies from lock file\n\npyproject.toml changed significantly since poetry.lock was "
    "last generated. Run `poetry lock` to fix the lock file.\n"
)
PIPENV = """\
Your Pipfile.lock (a178) is out of date. Expected: (f9d7).
[DeployException]:   File "/bin/pipenv", line 8, in <module>
[DeployException]:       raise exceptions.DeployException
ERROR:: Aborting deploy
"""


NPM = """\
npm error code ENOTCACHED
npm error request to https://registry.npmjs.org/tiny failed: no cached response is available.
npm error A complete log of this run can be found in: /home/me/.npm/_logs/debug-0.log
"""


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        (
            UV,
            "No solution found when resolving dependencies: Because tiny was not found in the package "
            "registry and you require tiny==3, we can conclude that your requirements are unsatisfiable. "
            "hint: Packages were unavailable because the network was disabled.",
        ),
        (PIP, "Could not find a version that satisfies the requirement tiny==3 (from versions: 1, 2)"),
        (
            POETRY,
            "pyproject.toml changed significantly since poetry.lock was last generated. "
            "Run `poetry lock` to fix the lock file.",
        ),
        (PIPENV, "Your Pipfile.lock (a178) is out of date. Expected: (f9d7)."),
        (NPM, "request to https://registry.npmjs.org/tiny failed: no cached response is available."),
        ("[dobby] install python3-venv there\nerror: x: y\n", "install python3-venv there"),
        ("error: Failed to parse `uv.lock`\n  Caused by: a [", "Failed to parse `uv.lock` Caused by: a ["),
        ("  × No solution found\n  ╰─▶ Because so", "No solution found Because so"),
        ("one\nbash: line 1: psql: command not found\ntwo", "bash: line 1: psql: command not found"),
        ("it is\nso\n", "so"),
        ("", ""),
    ],
)
def test_the_line_that_tells_most(tail: str, line: str) -> None:
    assert failure.telling(tail) == line


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (("/root/.local/bin/uv", "sync", "--frozen"), "uv sync --frozen"),
        (
            ("/bin/uv", "pip", "install", "--python", "/e/bin/python", "-r", "requirements.txt"),
            "uv pip install -r requirements.txt",
        ),
        (("/e/bin/python", "-I", "-m", "pip", "install", "six"), "pip install six"),
        (("/usr/bin/python3", "-I", "-m", "venv", "/e/venv"), "python3 -m venv venv"),
        (("/bin/bash", "-c", "make /x && true"), "make /x && true"),
        (("git", "-C", "/a/b/cache.git", "fsck"), "git -C cache.git fsck"),
        ((), ""),
    ],
)
def test_the_command_as_a_person_types_it(argv: tuple[str, ...], shown: str) -> None:
    assert failure.command(argv) == shown


def test_a_long_command_is_cut() -> None:
    assert len(failure.command(("uv", *["--reinstall-package"] * 40))) == failure.MOST_OF_COMMAND


def test_the_whole_cause_speaks() -> None:
    cause = {"kind": "environment", "step": "environment", "command": "uv sync", "code": 1, "tail": PIP}
    said = wording.whole_cause(cause)
    assert said.startswith("environment failed: uv sync (exit 1): Could not find a version that satisfies")
    assert wording.whole_cause({**cause, "tail": ""}) == "environment failed: uv sync (exit 1)"
