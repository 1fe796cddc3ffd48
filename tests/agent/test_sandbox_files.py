"""Removing and collecting: never through a symlink, whatever a job has built."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import listing, put

from dobby.agent import globs
from dobby.agent.sandbox import collect, remove_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    put(tmp_path / "outside", {"file": "mine", "deep/file": "mine"})
    return tmp_path / "outside"


# --- remove_tree ---


def test_a_symlink_is_removed_itself(tmp_path: Path, outside: Path) -> None:
    os.symlink(outside, tmp_path / "link")
    remove_tree(str(tmp_path / "link"))
    os.symlink(outside, tmp_path / "link")
    remove_tree(f"{tmp_path}/link/")
    assert not os.path.lexists(tmp_path / "link")
    put(tmp_path / "tree", {"a/b": "x"})
    os.symlink(outside, tmp_path / "tree/a/link")
    os.symlink(outside / "file", tmp_path / "tree/file")
    remove_tree(str(tmp_path / "tree"))
    assert not os.path.lexists(tmp_path / "tree")
    assert (outside / "file").read_text() == (outside / "deep/file").read_text() == "mine"


def test_nothing_there_and_a_file(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "nothing"))
    put(tmp_path, {"file": "x"})
    remove_tree(str(tmp_path / "file"))
    assert os.listdir(tmp_path) == []


def test_a_tree_deeper_than_any_path(tmp_path: Path) -> None:
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("deeper")
            os.chdir("deeper")
    finally:
        os.fchdir(here)
        os.close(here)
    remove_tree(str(tmp_path / "deeper"))
    assert os.listdir(tmp_path) == []


_CLOSED = """
import os, sys
sys.path[:0] = {path!r}
from dobby.agent.sandbox import remove_tree
os.makedirs("tree/a/b/c")
open("tree/a/b/file", "w").close()
for name, mode in (("tree/a/b/c", 0), ("tree/a/b", 0o500), ("tree/a", 0), ("tree", 0o500)):
    os.chmod(name, mode)
remove_tree(os.path.abspath("tree"))
"""


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not here")
def test_closed_directories(tmp_path: Path) -> None:
    argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.getuid() == 0 else []
    code = _CLOSED.format(path=sys.path)
    done = subprocess.run([*argv, sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


# --- globs ---

TREE: dict[str, str | bytes | None] = {
    name: name
    for name in (
        "a.csv",
        "b.txt",
        ".hidden.csv",
        "r/1.csv",
        "r/2.txt",
        "r/deep/3.csv",
        "r/deep/er/4.csv",
        "ä.csv",
    )
}


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.csv", [".hidden.csv", "a.csv", "ä.csv"]),
        ("?.csv", ["a.csv", "ä.csv"]),
        ("[ab].*", ["a.csv", "b.txt"]),
        ("[!a].*", ["b.txt", "ä.csv"]),
        ("r/*.csv", ["r/1.csv"]),
        ("**/*.csv", [".hidden.csv", "a.csv", "r/1.csv", "r/deep/3.csv", "r/deep/er/4.csv", "ä.csv"]),
        ("r/**/*.csv", ["r/1.csv", "r/deep/3.csv", "r/deep/er/4.csv"]),
        ("r/**/deep", ["r/deep"]),
        ("r/deep", ["r/deep"]),
        ("r/deep/", ["r/deep"]),
        ("./r//1.csv", ["r/1.csv"]),
        ("r/**", ["r/1.csv", "r/2.txt", "r/deep"]),
        ("*/deep/**/4*", ["r/deep/er/4.csv"]),
        ("nothing/*", []),
        ("a.csv/x", []),
        ("../*", []),
        ("", []),
        (".git/*", []),
    ],
)
def test_what_a_glob_names(tmp_path: Path, glob: str, found: list[str]) -> None:
    put(tmp_path / "t", TREE)
    put(tmp_path / "t", {".git/x.csv": "no", "r/.git/y.csv": "no"})
    assert sorted(path.decode() for path in globs.find(os.fsencode(tmp_path / "t"), [glob])) == found


def test_a_glob_with_raw_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"raw\xff.csv")
    put(tmp_path / "t", {name: "x"})
    assert globs.find(os.fsencode(tmp_path / "t"), ["*.csv"]) == {b"raw\xff.csv"}
    assert globs.find(os.fsencode(tmp_path / "t"), [name]) == {b"raw\xff.csv"}


# --- collect ---


def test_files_directories_and_symlinks_are_copied(tmp_path: Path) -> None:
    put(
        tmp_path / "t",
        {"r/1": "one", "r/deep/2": b"\0\xff" * 100_000, "other": "o", "big": b"x" * 3_000_000},
    )
    os.symlink("1", tmp_path / "t/r/link")
    os.chmod(tmp_path / "t/r/1", 0o750)
    os.utime(tmp_path / "t/r/1", (1_600_000_000, 1_600_000_000))
    os.makedirs(tmp_path / "t/r/empty")
    names = collect(str(tmp_path / "t"), ["r", "big", "nothing*"], str(tmp_path / "into"))
    assert names == ["big", "r/1", "r/deep/2", "r/link"]
    shutil.rmtree(tmp_path / "t/r/none", ignore_errors=True)
    os.unlink(tmp_path / "t/other")
    assert listing(tmp_path / "into") == listing(tmp_path / "t")
    copied = os.stat(tmp_path / "into/r/1")
    assert (copied.st_mode & 0o777, copied.st_mtime) == (0o750, 1_600_000_000)


def test_nothing_outside_is_copied(tmp_path: Path, outside: Path) -> None:
    put(tmp_path / "t", {"real/file": "r"})
    os.symlink(outside, tmp_path / "t/link")
    os.symlink(outside / "file", tmp_path / "t/secret")
    names = collect(
        str(tmp_path / "t"), ["link/file", "*/file", "**/file", "secret", "link"], str(tmp_path / "into")
    )
    assert names == ["link", "real/file", "secret"]
    assert os.readlink(tmp_path / "into/secret") == str(outside / "file")


def test_nothing_outside_is_written(tmp_path: Path, outside: Path) -> None:
    """The job could write to outputs/ itself, and plant symlinks there."""
    put(tmp_path / "t", {"dir/file": "r", "file": "r", "x": "r"})
    (tmp_path / "into").mkdir()
    os.symlink(outside, tmp_path / "into/dir")
    os.symlink(outside / "file", tmp_path / "into/file")
    put(tmp_path / "into", {"x/in": "a directory"})
    before = listing(outside)
    assert collect(str(tmp_path / "t"), ["*"], str(tmp_path / "into")) == ["dir/file", "file", "x"]
    assert listing(outside) == before
    assert (tmp_path / "into/dir/file").read_text() == "r"
    assert (tmp_path / "into/x").read_text() == "r"


def test_pipes_and_sockets_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "t", {"file": "f"})
    os.mkfifo(tmp_path / "t/pipe")
    monkeypatch.chdir(tmp_path / "t")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert collect(str(tmp_path / "t"), ["*"], str(tmp_path / "into")) == ["file"]


def test_a_sandbox_that_is_gone_or_a_symlink_gives_nothing(tmp_path: Path, outside: Path) -> None:
    assert collect(str(tmp_path / "gone"), ["*"], str(tmp_path / "into")) == []
    os.symlink(outside, tmp_path / "link")
    assert collect(str(tmp_path / "link"), ["*"], str(tmp_path / "into")) == []


def test_names_beyond_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"new\nline \xff")
    put(tmp_path / "t", {f"{name}/{name}": "x"})
    assert collect(str(tmp_path / "t"), ["*"], str(tmp_path / "into")) == [f"{name}/{name}"]
