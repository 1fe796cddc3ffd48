"""The scripts behind `make`: what they do on a machine where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
NEEDED = (
    *("sshd", "ssh", "ssh-keygen", "git", "rsync", "strace", "ps"),
    *("zsh", "fish", "tcsh", "sudo", "git-lfs", "faketime"),
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH of our own: the usual programs, and every tool as an empty file. `apt-get`
    notes its words, and installs strace at the second try, as where lists must be fetched first."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("bash", "sh", "dirname", "sort", "cat", "env", "touch", "chmod"):
        (path / name).symlink_to(str(shutil.which(name)))
    for name in NEEDED:
        _program(path / name, "")
    _program(path / "id", "echo ${TEST_UID-0}")
    _program(
        path / "apt-get",
        f'echo "$*" >>{tmp_path}/said\n[ "$1" = update ] && exec touch {tmp_path}/lists\n'
        f"[ -e {tmp_path}/lists ] || exit 100\n: >{path}/strace; chmod +x {path}/strace",
    )
    return path


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def run(script: str, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    # A copy, so that the script's own directory is not this one.
    copy = path.parent / "copy" / "scripts"
    shutil.copytree(SCRIPTS, copy, dirs_exist_ok=True)
    # Without /usr/sbin, which the script adds: there a real sshd may be.
    text = (copy / script).read_text().replace("/usr/sbin:/sbin", "/nowhere")
    (copy / script).write_text(text)
    return subprocess.run(
        ["bash", str(copy / script)],
        env={"PATH": str(path), "HOME": os.environ["HOME"], **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_where_nothing_is_missing_nothing_is_done(machine: Path) -> None:
    assert run("tools.sh", machine).returncode == 0
    assert not (machine.parent / "said").exists()


def test_root_gets_what_is_missing_and_lists_are_fetched_only_if_needed(machine: Path) -> None:
    (machine / "strace").unlink()
    result = run("tools.sh", machine)
    assert result.returncode == 0, result.stderr
    first, update, second = (machine.parent / "said").read_text().splitlines()
    assert first == second
    assert first.endswith(" strace")
    assert update.startswith("update")


def test_anyone_else_is_told_the_command(machine: Path) -> None:
    for name in ("strace", "sshd", "fish"):
        (machine / name).unlink()
    result = run("tools.sh", machine, TEST_UID="1000")
    assert result.returncode == 1
    assert result.stderr == "please run: sudo apt-get install openssh-server strace\n"
    assert not (machine.parent / "said").exists()


def test_an_old_python_is_refused_in_one_sentence(machine: Path) -> None:
    _program(machine / "python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 0')
    result = run("venv.sh", machine)
    assert result.returncode == 1
    assert result.stderr.startswith("dobby needs Python 3.11 or later, and Python 3.9.2 is what")
    assert len(result.stderr.splitlines()) == 1
    assert not (machine.parent / "copy/.venv").exists()
