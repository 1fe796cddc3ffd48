"""Submodules with changes of their own, under `.`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client.family import Family
from tests.client.snapshots import files, take

if TYPE_CHECKING:
    from pathlib import Path

    from dobby import snapshot


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


@pytest.mark.parametrize("change", ["modified", "staged", "untracked"])
def test_uncommitted_changes_in_a_submodule_travel(family: Family, change: str) -> None:
    family.initialise()
    family.outer.git("config", "submodule.libs/inner.ignore", "all")
    name = "new.txt" if change == "untracked" else "b.txt"
    family.here.write(name, "changed\n")
    if change == "staged":
        family.here.git("add", "b.txt")
    before = _state(family)
    taken = take(family.outer)
    inner, innermost = taken.modules
    assert inner.module.commit != family.inner.head
    assert innermost.module.commit == family.innermost.head
    assert files(family.outer, taken)["libs/inner"] == ("160000", inner.module.commit.encode())
    assert _show(inner, name) == b"changed\n"
    (notice,) = taken.notices
    assert "libs/inner travels with its uncommitted changes" in notice
    assert take(family.outer).commit == taken.commit
    assert _state(family) == before, "no ref, index or object of the user's is written"
    assert take(family.outer, "main").modules[0].module.commit == family.inner.head


def test_changes_two_levels_down_travel(family: Family) -> None:
    family.initialise()
    family.here.git("config", "submodule.odd name.ignore", "all")
    family.here.write("deep/innermost/c.txt", "changed\n")
    inner, innermost = take(family.outer).modules
    assert _show(innermost, "c.txt") == b"changed\n"
    listed = subprocess.run(
        ["git", f"--git-dir={inner.git_dir}", "ls-tree", inner.module.commit, "deep/innermost"],
        env=_reading(inner),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert innermost.module.commit.encode() in listed


def test_the_callers_own_git_variables_do_not_reach_a_submodule(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook, where git sets GIT_DIR."""
    family.initialise()
    family.here.write("b.txt", "changed\n")
    wanted = take(family.outer).commit
    monkeypatch.setenv("GIT_DIR", f"{family.outer.path}/.git")
    monkeypatch.setenv("GIT_INDEX_FILE", f"{family.outer.path}/.git/index")
    assert take(family.outer).commit == wanted


def _reading(source: snapshot.ModuleSource) -> dict[str, str]:
    return {**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(source.objects)}


def _show(source: snapshot.ModuleSource, name: str) -> bytes:
    argv = ["git", f"--git-dir={source.git_dir}", "cat-file", "blob", f"{source.module.commit}:{name}"]
    return subprocess.run(argv, env=_reading(source), stdout=subprocess.PIPE, check=True).stdout


def _state(family: Family) -> dict[str, bytes]:
    """Every file of every git directory."""
    found = {}
    for folder, _, names in os.walk(f"{family.outer.path}/.git"):
        for name in names:
            with open(f"{folder}/{name}", "rb") as file:
                found[f"{folder}/{name}"] = file.read()
    return found
