"""What `keep` globs name stays for the next run, unless its commit says otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, make_repo, put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    files: dict[str, str | bytes | None] = {"a.txt": "a\n", "dir/b.txt": "b\n", "dir/deep/c.txt": "c\n"}
    return Lab(tmp_path, make_repo(tmp_path / "laptop", files))


def test_kept_files_stay(lab: Lab) -> None:
    lab.run()
    put(
        lab.sandbox,
        {
            "ck/1.pt": "1",
            "ck/note": "n",
            "dir/x.pt": "x",
            "far/in/y.pt": "y",
            "far/in/z": "z",
            "top.pt": "t",
        },
    )
    before = (lab.sandbox / "ck/1.pt").stat().st_ctime_ns
    lab.run(keep=("ck/*.pt", "far/**/*.pt", "*.pt"))
    assert lab.left() == ["ck/note", "dir/x.pt", "far/in/z"]
    assert (lab.sandbox / "ck/1.pt").stat().st_ctime_ns == before
    assert (lab.sandbox / "far/in/y.pt").read_text() == "y"
    assert (lab.sandbox / "top.pt").read_text() == "t"
    lab.run()
    lab.assert_exact()
    assert lab.left("run2") == ["ck/1.pt", "far/in/y.pt", "top.pt"]


def test_a_kept_directory_keeps_all_below(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"ck/deep/1": "1", "ck/2": "2"})
    assert lab.run(keep=("ck/",)) == "unchanged"
    assert (lab.sandbox / "ck/deep/1").exists()


def test_the_commit_wins_over_what_is_kept(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"ck/1": "job's", "ck/2": "job's", "x": "job's", "y/z": "job's", "a.txt": "job's"})
    commit(lab.laptop, {"ck/1": "laptop's", "x/y": "laptop's", "y": "laptop's"})
    lab.run(keep=("ck", "x", "y", "a.txt"))
    assert lab.left() == ["a.txt", "ck/1", "x", "y/z"]
    assert (lab.sandbox / "ck/2").read_text() == "job's"
    os.unlink(lab.sandbox / "ck/2")
    lab.assert_exact()


def test_a_kept_file_that_the_commit_no_longer_tracks_stays(lab: Lab) -> None:
    commit(lab.laptop, {"ck": "first"})
    lab.run()
    put(lab.sandbox, {"ck": "job's"})
    commit(lab.laptop, {"ck": None})
    lab.run(keep=("ck",))
    assert (lab.sandbox / "ck").read_text() == "job's"


def test_kept_files_survive_a_sandbox_that_is_made_anew(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"ck/1": "1", "dir/2": "2", "other.txt": "o"})
    git(lab.sandbox, "update-ref", "-d", "HEAD")
    os.unlink(lab.sandbox / ".git/HEAD")
    os.rename(lab.sandbox / ".git", lab.sandbox / "git")
    assert lab.run(keep=("ck", "dir/2", "a.txt")).startswith("made anew")
    assert (lab.sandbox / "ck/1").read_text() == "1"
    assert (lab.sandbox / "dir/2").read_text() == "2"
    assert "sandbox/other.txt" in lab.left()
