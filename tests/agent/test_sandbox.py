"""A sandbox is exactly its commit, and what a job left is in left/."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, listing, make_repo, put
from tests.counted import Counted

from dobby.agent.steps import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

FILES: dict[str, str | bytes | None] = {
    "a.txt": "a\n",
    "dir/b.txt": "b\n",
    "dir/deep/c.txt": "c\n",
    "other/d.txt": "d\n",
    ".gitignore": "*.log\n",
}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, make_repo(tmp_path / "laptop", FILES))


# --- made from nothing ---


def test_a_new_sandbox_is_a_clone_on_its_branch(lab: Lab) -> None:
    assert lab.run() == "new"
    lab.assert_exact()
    assert git(lab.sandbox, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(lab.sandbox, "remote", "get-url", "origin") == "https://git.example.org/project.git"
    assert git(lab.sandbox, "log", "--format=%s") == "first"
    assert os.stat(lab.sandbox).st_mode & 0o777 == 0o700


def test_without_a_branch_the_head_is_detached(lab: Lab) -> None:
    lab.run(branch="")
    lab.assert_exact()
    assert git(lab.sandbox, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_a_sha256_repository(tmp_path: Path) -> None:
    lab = Lab(tmp_path, make_repo(tmp_path / "laptop", FILES, "sha256"), "sha256")
    lab.run()
    lab.assert_exact()
    put(lab.sandbox, {"a.txt": "changed"})
    commit(lab.laptop, {"new.txt": "new"})
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["a.txt"]


def test_names_that_no_text_can_hold(lab: Lab) -> None:
    names = [
        "new\nline",
        "quo\"te'",
        "-rf",
        "$(touch x)",
        "tab\t",
        "ünï",
        os.fsdecode(b"raw\xff"),
        "back\\slash",
    ]
    commit(lab.laptop, {f"{name}/{name}": name.encode("utf-8", "surrogateescape") for name in names})
    lab.run()
    lab.assert_exact()
    put(lab.sandbox, {f"{name}/{name}": "changed" for name in names})
    put(lab.sandbox, {f"more {name}": "untracked" for name in names})
    lab.run()
    lab.assert_exact()
    assert lab.left() == sorted([f"{n}/{n}" for n in names] + [f"more {n}" for n in names])


def test_exec_bits_and_symlinks(lab: Lab) -> None:
    put(lab.laptop, {"run.sh": "#!/bin/sh\n"})
    os.chmod(lab.laptop / "run.sh", 0o755)
    os.symlink("a.txt", lab.laptop / "link")
    os.symlink("/nowhere", lab.laptop / "dangling")
    commit(lab.laptop, {})
    lab.run()
    lab.assert_exact()
    os.chmod(lab.sandbox / "run.sh", 0o644)
    os.unlink(lab.sandbox / "link")
    os.symlink("dir", lab.sandbox / "link")
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["link", "run.sh"]


def test_a_commit_that_never_arrived_is_told_in_gits_words(lab: Lab) -> None:
    lab.run()
    with pytest.raises(StepFailed) as failed:
        lab.prepare(lab.request("1" * 40))
    assert failed.value.step == "sandbox"
    assert "1" * 40 in failed.value.tail


@pytest.mark.parametrize("branch", ["../../../x", "a..b", "/etc", "a.lock", "a/.b", "-x", "a b", "a\nb"])
def test_a_branch_that_git_would_refuse_is_refused(lab: Lab, branch: str) -> None:
    with pytest.raises(StepFailed, match="no name of a branch"):
        lab.run(branch=branch)
    assert not lab.sandbox.exists()


# --- run again ---


@pytest.mark.parametrize(
    ("files", "verb"),
    [
        ({"a.txt": "changed", "new [a]*.txt": "new", "dir/deep/:(top)": "new"}, "checkout"),
        ({"a.txt": None}, "read-tree"),
        ({"dir/b.txt": None, "dir/b.txt/now a directory": "new"}, "read-tree"),
        ({f"many/{number}": "new" for number in range(201)}, "read-tree"),
        ({}, ""),
    ],
)
def test_what_differs_is_asked_for_by_name_where_that_is_little(
    lab: Lab,
    files: dict[str, str | bytes | None],
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab.run()
    commit(lab.laptop, files)
    counted = Counted(tmp_path, monkeypatch)
    lab.run()
    verbs = ("checkout", "read-tree")
    writing = [word for call in counted.since() for word in call.split() if word in verbs]
    assert writing == ([verb] if verb else [])
    lab.assert_exact()


def test_nothing_changed(lab: Lab) -> None:
    lab.run()
    before = {p: os.lstat(p).st_mtime_ns for p in lab.sandbox.rglob("*") if ".git" not in p.parts}
    assert lab.run() == "unchanged"
    assert before == {p: os.lstat(p).st_mtime_ns for p in lab.sandbox.rglob("*") if ".git" not in p.parts}
    assert lab.run() == "unchanged"
    assert not os.path.exists(lab.job.run("run1").left)


def test_only_what_differs_is_written(lab: Lab) -> None:
    old = git(lab.laptop, "rev-parse", "HEAD")
    lab.run()
    before = lab.sandbox.joinpath("a.txt").stat().st_ctime_ns
    new = commit(lab.laptop, {"dir/b.txt": "b2\n", "dir/deep/c.txt": None, "dir/deep/er/e": "e"})
    assert lab.run() == f"{old[:7]} -> {new[:7]}"
    lab.assert_exact()
    assert lab.sandbox.joinpath("a.txt").stat().st_ctime_ns == before
    assert git(lab.sandbox, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_what_a_job_left_is_moved_to_its_runs_left(lab: Lab) -> None:
    lab.run()
    put(
        lab.sandbox,
        {
            "a.txt": "changed",
            "untracked.txt": "u",
            "ignored.log": "i",
            "new/dir/file": "f",
            "dir/deep/beside": "b",
            "other/d.txt": None,
        },
    )
    os.makedirs(lab.sandbox / "empty/nested")
    assert lab.run() == "moved 4 files and 1 directory to left/"
    lab.assert_exact()
    assert lab.left() == ["a.txt", "dir/deep/beside", "ignored.log", "new/dir/file", "untracked.txt"]
    with open(lab.job.run("run1").left + "/a.txt") as stream:
        assert stream.read() == "changed"
    assert not os.path.exists(lab.job.run("run1").left + "/empty")


def test_left_of_this_run_where_the_previous_one_is_gone(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"untracked.txt": "u"})
    os.unlink(lab.job.run("run1").log)
    os.rmdir(lab.job.run("run1").root)
    lab.run()
    assert lab.left("run2") == ["untracked.txt"]


def test_a_file_where_a_directory_was_and_the_reverse(lab: Lab) -> None:
    lab.run()
    os.rename(lab.sandbox / "dir", lab.sandbox / "dir2")
    put(lab.sandbox, {"dir": "a file", "a.txt": None, "a.txt/in": "a directory"})
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["a.txt/in", "dir", "dir2/b.txt", "dir2/deep/c.txt"]


def test_the_commit_replaces_a_directory_by_a_file(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"dir/deep/untracked": "u"})
    os.unlink(lab.laptop / "dir/b.txt")
    os.unlink(lab.laptop / "dir/deep/c.txt")
    os.removedirs(lab.laptop / "dir/deep")
    commit(lab.laptop, {"dir": "now a file"})
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["dir/deep/untracked"]


@pytest.mark.parametrize("content", ["changed", None])
def test_no_empty_directory_stays_behind(lab: Lab, content: str | None) -> None:
    lab.run()
    put(lab.sandbox, {"dir/deep/c.txt": content})
    commit(lab.laptop, {"dir/deep/c.txt": None})
    lab.run()
    lab.assert_exact()


def test_no_empty_directory_stays_where_the_job_removed_what_was_in_it(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"dir/b.txt": None, "dir/deep/c.txt": None, "dir/untracked": "u"})
    os.rmdir(lab.sandbox / "dir/deep")
    commit(lab.laptop, {"dir/b.txt": None, "dir/deep/c.txt": None})
    lab.run()
    lab.assert_exact()


def test_what_the_job_staged_is_undone_and_kept(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {"a.txt": "staged", "added": "staged too", "dir/b.txt": None})
    git(lab.sandbox, "add", "-A")
    git(lab.sandbox, "rm", "-q", "--cached", "other/d.txt")
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["a.txt", "added", "other/d.txt"]


@pytest.mark.parametrize("bit", ["--assume-unchanged", "--skip-worktree"])
def test_changes_hidden_from_git_are_found(lab: Lab, bit: str) -> None:
    lab.run()
    git(lab.sandbox, "update-index", bit, "a.txt")
    put(lab.sandbox, {"a.txt": "hidden"})
    lab.run()
    lab.assert_exact()
    assert lab.left() == ["a.txt"]


def test_a_sparse_checkout_is_whole_again(lab: Lab) -> None:
    lab.run()
    git(lab.sandbox, "sparse-checkout", "set", "dir")
    assert not (lab.sandbox / "other").exists()
    lab.run()
    lab.assert_exact()


def test_nested_repositories_move_as_they_are(lab: Lab) -> None:
    lab.run()
    make_repo(lab.sandbox / "dir/nested", {"n": "n"})
    lab.run()
    lab.assert_exact()
    assert git(lab.job.run("run1").left + "/dir/nested", "log", "--format=%s") == "first"


def test_a_merge_that_stopped_half_way(lab: Lab) -> None:
    lab.run()
    git(lab.sandbox, "checkout", "-q", "-b", "one")
    commit(lab.sandbox, {"a.txt": "one"})
    git(lab.sandbox, "checkout", "-q", "main")
    commit(lab.sandbox, {"a.txt": "two"})
    git(lab.sandbox, "merge", "one", check=False)
    assert (lab.sandbox / ".git/MERGE_HEAD").exists()
    lab.run()
    lab.assert_exact()
    assert "merg" not in git(lab.sandbox, "status")
    assert "a.txt" in lab.left()


def test_attributes_that_change_between_commits_rewrite_what_they_touch(lab: Lab) -> None:
    lab.run()
    commit(lab.laptop, {".gitattributes": "*.txt eol=crlf\n"})
    lab.run()
    lab.assert_exact()
    assert (lab.sandbox / "dir/b.txt").read_bytes() == b"b\r\n"
    commit(lab.laptop, {".gitattributes": None})
    lab.run()
    lab.assert_exact()
    assert (lab.sandbox / "dir/b.txt").read_bytes() == b"b\n"


def test_files_written_under_a_jobs_own_attributes_are_found(lab: Lab) -> None:
    lab.run()
    put(lab.sandbox, {".gitattributes": "*.txt eol=crlf\n"})
    os.unlink(lab.sandbox / "a.txt")
    git(lab.sandbox, "checkout", "a.txt")
    assert (lab.sandbox / "a.txt").read_bytes() == b"a\r\n"
    git(lab.sandbox, "status")
    lab.run()
    lab.assert_exact()


def test_job_owned_left_directory_is_not_followed(lab: Lab, tmp_path: Path) -> None:
    lab.run()
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", lab.job.run("run1").left)
    put(lab.sandbox, {"untracked.txt": "u"})
    lab.run()
    assert lab.left() == ["untracked.txt"]
    assert listing(tmp_path / "elsewhere") == []
