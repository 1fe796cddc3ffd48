"""Branches, tags and commits in a sandbox: as on the laptop, and nothing of a job's lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, make_repo, put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, make_repo(tmp_path / "laptop", {"a.txt": "a\n", "b.txt": "b\n"}))


def tags_of(lab: Lab) -> tuple[tuple[str, str], ...]:
    lines = git(lab.laptop, "for-each-ref", "--format=%(refname:strip=2)%00%(objectname)", "refs/tags")
    return tuple((name, id) for name, _, id in (line.partition("\0") for line in lines.splitlines()))


def refs_of(lab: Lab) -> dict[str, str]:
    lines = git(lab.sandbox, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {name: id for name, _, id in (line.partition(" ") for line in lines)}


def test_describe_answers_as_on_the_laptop(lab: Lab) -> None:
    git(lab.laptop, "tag", "-a", "v1", "-m", "one")
    git(lab.laptop, "tag", "light")
    commit(lab.laptop, {"a.txt": "a2\n"})
    lab.run(tags=tags_of(lab))
    for words in (("describe",), ("describe", "--tags", "--long"), ("tag", "-n"), ("describe", "--all")):
        assert git(lab.sandbox, *words) == git(lab.laptop, *words)
    assert lab.run(tags=tags_of(lab)) == "unchanged"
    git(lab.laptop, "tag", "-d", "v1")
    git(lab.laptop, "tag", "-a", "v2/rc", "-m", "two")
    lab.run(tags=())
    assert git(lab.sandbox, "tag") == ""


def test_tags_that_come_later_are_there_at_the_next_run(lab: Lab) -> None:
    lab.run()
    git(lab.laptop, "tag", "-a", "v1", "-m", "one")
    commit(lab.laptop, {"a.txt": "a2\n"})
    lab.run(tags=tags_of(lab))
    assert git(lab.sandbox, "describe") == git(lab.laptop, "describe")
    lab.assert_exact()


def test_a_tag_whose_object_never_came_is_left_out(lab: Lab) -> None:
    lab.run()
    lab.prepare(lab.request(tags=(("v1", "1" * 40),)))
    assert git(lab.sandbox, "tag") == ""
    lab.assert_exact()


def test_a_branch_named_like_a_tag_and_names_beyond_ascii(lab: Lab) -> None:
    git(lab.laptop, "tag", "-a", "same", "-m", "a tag")
    commit(lab.laptop, {"a.txt": "a2\n"})
    lab.run(branch="same", tags=tags_of(lab))
    lab.assert_exact()
    assert git(lab.sandbox, "symbolic-ref", "HEAD") == "refs/heads/same"
    lab.run(branch="weiß/änderung")
    lab.assert_exact()
    assert git(lab.sandbox, "symbolic-ref", "--short", "HEAD") == "weiß/änderung"


def test_branches_whose_names_exclude_each_other(lab: Lab) -> None:
    for branch in ("a", "a/b", "a/b/c", "a"):
        lab.run(branch=branch)
        lab.assert_exact()
        assert refs_of(lab).keys() == {f"refs/heads/{branch}"}
        git(lab.sandbox, "pack-refs", "--all")
        commit(lab.laptop, {"a.txt": branch})


def test_from_a_branch_to_a_detached_head_and_back(lab: Lab) -> None:
    lab.run()
    lab.run(branch="")
    lab.assert_exact()
    assert refs_of(lab) == {}
    lab.run()
    lab.assert_exact()


def test_commits_of_the_job_are_kept(lab: Lab) -> None:
    lab.run()
    git(lab.sandbox, "checkout", "-q", "-b", "results")
    made = commit(lab.sandbox, {"a.txt": "result\n", "result.csv": "1\n"})
    assert lab.run() == "kept the job's commits as refs/dobby/left/run1"
    lab.assert_exact()
    assert refs_of(lab) == {
        "refs/dobby/left/run1": made,
        "refs/dobby/left-refs/run1/heads/results": made,
        "refs/heads/main": git(lab.laptop, "rev-parse", "HEAD"),
    }
    assert os.path.exists(lab.job.run("run1").left + "/.git/logs/refs/heads/results")
    assert lab.run() == "unchanged"
    assert git(lab.sandbox, "show", "refs/dobby/left/run1:result.csv") == "1"


def test_all_else_that_a_job_can_refer_to_is_kept(lab: Lab) -> None:
    lab.run()
    git(lab.sandbox, "tag", "-a", "done", "-m", "done")
    put(lab.sandbox, {"a.txt": "stashed\n"})
    git(lab.sandbox, "stash", "-q")
    stash = git(lab.sandbox, "rev-parse", "refs/stash")
    git(lab.sandbox, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(lab.sandbox, "pack-refs", "--all")
    lab.run()
    lab.assert_exact()
    found = refs_of(lab)
    assert found["refs/dobby/left-refs/run1/stash"] == stash
    assert {"refs/dobby/left-refs/run1/tags/done", "refs/remotes/origin/main"} < found.keys()
    assert git(lab.sandbox, "tag") == ""
    assert git(lab.sandbox, "stash", "list") == ""


def test_a_replaced_commit_is_not_taken_for_ours(lab: Lab) -> None:
    old = git(lab.laptop, "rev-parse", "HEAD")
    new = commit(lab.laptop, {"a.txt": "a2\n"})
    lab.run()
    git(lab.sandbox, "replace", new, old)
    git(lab.sandbox, "reset", "-q", "--hard")
    lab.run()
    lab.assert_exact()


@pytest.mark.parametrize(
    "how", [("gc", "-q", "--prune=now"), ("repack", "-adq"), ("prune", "--expire=now")]
)
def test_a_job_may_tidy_its_sandbox(lab: Lab, how: tuple[str, ...]) -> None:
    git(lab.laptop, "tag", "-a", "v1", "-m", "one")
    lab.run(tags=tags_of(lab))
    made = commit(lab.sandbox, {"a.txt": "result\n"})
    git(lab.sandbox, *how)
    commit(lab.laptop, {"b.txt": "b2\n"})
    lab.run(tags=tags_of(lab))
    lab.assert_exact()
    assert git(lab.sandbox, "rev-parse", "refs/dobby/left/run1") == made
    assert git(lab.sandbox, "describe") == git(lab.laptop, "describe")


def test_gc_in_the_cache_under_a_live_sandbox_loses_nothing(lab: Lab) -> None:
    git(lab.laptop, "tag", "-a", "v1", "-m", "one")
    lab.run(tags=tags_of(lab))
    made = commit(lab.sandbox, {"made": "by the job\n"})
    git(lab.laptop, "checkout", "-q", "--orphan", "another")
    commit(lab.laptop, {"c.txt": "c\n"})
    lab.run(branch="another")
    git(lab.cache, "reflog", "expire", "--expire=now", "--all")
    git(lab.cache, "-c", "gc.auto=1", "gc", "-q", "--prune=now")
    lab.assert_exact()
    git(lab.sandbox, "fsck", "--full")
    assert git(lab.sandbox, "show", f"{made}:a.txt") == "a"
    git(lab.sandbox, "gc", "-q")
    assert lab.run(branch="another") == "unchanged"


def test_a_newer_run_that_waits_does_not_let_go_of_what_is_used(lab: Lab) -> None:
    old = git(lab.laptop, "rev-parse", "HEAD")
    lab.run()
    git(lab.laptop, "checkout", "-q", "--orphan", "another")
    new = commit(lab.laptop, {"c.txt": "c\n"})
    lab.run(new)
    with open(f"{lab.cache}/refs/dobby/sandboxes/job") as ref:
        assert ref.read() == f"{new}\n"
    assert git(lab.cache, "cat-file", "-t", old) == "commit"
    git(lab.cache, "gc", "-q", "--prune=now")
    assert git(lab.cache, "cat-file", "-t", new) == "commit"


def test_history_is_whole_for_git_log_and_blame(lab: Lab) -> None:
    commit(lab.laptop, {"a.txt": "a\nmore\n"}, "second")
    lab.run()
    assert git(lab.sandbox, "log", "--format=%H %s") == git(lab.laptop, "log", "--format=%H %s")
    assert git(lab.sandbox, "blame", "-l", "a.txt") == git(lab.laptop, "blame", "-l", "a.txt")
    assert not os.path.exists(lab.sandbox / ".git/shallow")
