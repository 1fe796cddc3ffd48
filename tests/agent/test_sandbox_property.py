"""Whatever a job does, and whatever the next commit is: exact, nothing lost, nothing outside touched."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.sandboxes import Lab, commit, git, listing, make_repo, put

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMES = ("a", "b", "d", "d/x", "d/y", "d/e", "d/e/z", "f/g", ".gitignore")
CONTENTS = ("1\n", "2\n", "*\n", "")

trees = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS), min_size=1, max_size=6)
actions = st.lists(
    st.tuples(
        st.sampled_from(("write", "write", "delete", "mkdir", "link", "stage", "commit", "hide")),
        st.sampled_from((*NAMES, "u", "u/v", "d/u")),
    ),
    max_size=8,
)


def without_conflicts(tree: dict[str, str]) -> dict[str, str | bytes | None]:
    """No name that is also a directory of another."""
    return {name: text for name, text in tree.items() if not any(o.startswith(name + "/") for o in tree)}


def set_tree(repo: Path, tree: dict[str, str]) -> None:
    for name in os.listdir(repo):
        if name != ".git":
            remove(repo / name)
    commit(repo, without_conflicts(tree))


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def act(top: Path, outside: Path, number: int, action: str, name: str) -> None:
    """One thing that a job may do. What it writes is told by `number`."""
    path = top / name
    if action == "stage":
        git(top, "add", "-A", "-f", check=False)
    elif action == "commit":
        git(top, "commit", "-q", "-m", "by the job", check=False)
    elif action == "hide":
        git(top, "update-index", "--assume-unchanged", name, check=False)
    elif any(parent.is_symlink() for parent in path.parents if parent != top and top in parent.parents):
        return
    else:
        for parent in reversed([p for p in path.parents if top in p.parents]):
            if not parent.is_dir():
                remove(parent)
        remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if action == "write":
            put(top, {name: f"job {number}\n"})
        elif action == "mkdir":
            path.mkdir()
        elif action == "link":
            path.symlink_to(outside)


def job_contents(top: Path | str) -> set[bytes]:
    return {content for _, _, content in listing(top) if content.startswith(b"job ")}


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(first=trees, second=trees, done=actions)
def test_exact_and_nothing_lost(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, str],
    second: dict[str, str],
    done: list[tuple[str, str]],
) -> None:
    base = tmp_path_factory.mktemp("example")
    outside = make_repo(base / "outside", {"x": "mine", "e/z": "mine"})
    lab = Lab(base, make_repo(base / "laptop", {"first": "1"}))
    set_tree(lab.laptop, first)
    lab.run()
    for number, (action, name) in enumerate(done):
        act(lab.sandbox, outside, number, action, name)
    before, made = listing(outside), job_contents(lab.sandbox)
    set_tree(lab.laptop, second)
    lab.run()
    found, wanted = listing(lab.sandbox), lab.expected()
    assert found == wanted
    assert git(lab.sandbox, "status", "--porcelain", "--ignored") == ""
    assert listing(outside) == before
    kept = job_contents(lab.job.run("run1").left)
    commits = git(lab.sandbox, "for-each-ref", "--format=%(objectname)", "refs/dobby").split()
    for id in commits:
        kept |= {
            git(lab.sandbox, "cat-file", "blob", blob).encode() + b"\n" for blob in blobs(lab.sandbox, id)
        }
    assert made <= kept
    shutil.rmtree(base)


def blobs(repo: Path, id: str) -> list[str]:
    lines = git(repo, "ls-tree", "-r", id).splitlines()
    return [line.split()[2] for line in lines if line.startswith("100")]
