"""Whatever stands in a working tree and its index: the snapshot is the tree that `git add -A` makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.snapshots import files, take
from tests.gitrepo import Repo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMES = ("a", "a.t", "b", "d", "d/x", "d/y.t", "d/e", "d/e/z", "d.x", "f/g", "f/h/i", "é", "c r")
CONTENTS = ("1\n", "2\n", "1\r\n2\r\n", "1\r\n2\n", "", "no end", "\0\1\r\n")
ATTRIBUTES = ("", "* text=auto\n", "*.t text eol=crlf\n", "*.t -text\n", "d/* ident\n", "a* -crlf\n")
ACTIONS = ("write", "write", "delete", "link", "run", "stage", "forget", "commit", "meant", "switch")

trees = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS), min_size=1, max_size=7)
done = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES), st.sampled_from(CONTENTS)), max_size=10
)
attributes = st.tuples(st.sampled_from(ATTRIBUTES), st.sampled_from(("", ".", "d/")))
crlf = st.sampled_from(("false", "true", "input"))


def remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def make_way(repo: Repo, name: str) -> str:
    """Nothing stands at `name`, and directories above it."""
    parts = name.split("/")
    for at in range(1, len(parts)):
        above = os.path.join(repo.path, *parts[:at])
        if not os.path.isdir(above) or os.path.islink(above):
            remove(above)
            os.mkdir(above)
    remove(f"{repo.path}/{name}")
    return f"{repo.path}/{name}"


def attempt(repo: Repo, *words: str) -> None:
    subprocess.run(["git", *words], cwd=repo.path, capture_output=True, check=False)


def act(repo: Repo, number: int, action: str, name: str, text: str) -> None:
    path = f"{repo.path}/{name}"
    if action == "write":
        make_way(repo, name)
        repo.write(name, text)
    elif action == "delete":
        remove(path)
    elif action == "link":
        os.symlink(text.strip("\0\1\r\n") or "nowhere", make_way(repo, name))
    elif action == "run" and os.path.isfile(path):
        os.chmod(path, 0o755 if number % 2 else 0o644)
    elif action == "stage":
        attempt(repo, "add", "-A", "--", name)
    elif action == "forget":
        attempt(repo, "rm", "-q", "-r", "--cached", "--", name)
    elif action == "meant":
        attempt(repo, "add", "-N", "--", name)
    elif action == "commit":
        attempt(repo, "commit", "-q", "-m", "more")
    elif action == "switch":
        attempt(repo, "merge", "-q", "other")


def as_git_adds(repo: Repo, aside: Path) -> str:
    """By the same index: what that takes for unchanged is not read again."""
    index = f"{repo.path}/.git/index"
    if os.path.exists(index):
        shutil.copy2(index, aside / "index")
    env = {**os.environ, "GIT_INDEX_FILE": f"{aside}/index"}
    subprocess.run(["git", "add", "-A"], cwd=repo.path, env=env, check=True, capture_output=True)
    return subprocess.check_output(["git", "write-tree"], cwd=repo.path, env=env, text=True).strip()


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    first=trees,
    second=trees,
    done=done,
    ruled=attributes,
    crlf=crlf,
    modes=st.booleans(),
    tell=st.booleans(),
)
def test_the_tree_is_gits_own(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, str],
    second: dict[str, str],
    done: list[tuple[str, str, str]],
    ruled: tuple[str, str],
    crlf: str,
    modes: bool,
    tell: bool,
) -> None:
    base = tmp_path_factory.mktemp("example")
    repo = Repo(str(base / "repo"))
    for number, tree in enumerate((second, first)):
        for name, text in tree.items():
            make_way(repo, name)
            repo.write(name, text)
        repo.commit(f"{number}")
        if number == 0:
            repo.git("branch", "other")
            attempt(repo, "commit", "-q", "--amend", "-m", "apart")
    repo.git("config", "core.autocrlf", crlf)
    repo.git("config", "core.fileMode", str(modes).lower())
    for number, (action, name, text) in enumerate(done):
        act(repo, number, action, name, text)
    rules, where = ruled
    if where and os.path.isdir(f"{repo.path}/{where}"):
        repo.write(f"{where}/.gitattributes", rules)
        if tell:
            repo.git("add", "-f", f"{where}/.gitattributes")
            os.unlink(f"{repo.path}/{where}/.gitattributes")
    wanted = as_git_adds(repo, base)
    taken = take(repo)
    assert taken.tree == wanted, (files(repo, taken), repo.git("ls-tree", "-r", wanted))
    shutil.rmtree(base)


def test_what_the_index_lets_go_and_is_meant_to_be_added_again_is_there(repo: Repo) -> None:
    repo.git("rm", "-q", "--cached", "hello.py")
    repo.git("add", "-N", "hello.py")
    assert take(repo).tree == repo.git("rev-parse", "HEAD^{tree}").strip()


def test_what_the_index_lets_go_and_is_ignored_stays_here(repo: Repo) -> None:
    """`git rm --cached` and a line in .gitignore: how a file with secrets is taken out again."""
    repo.commit("by mistake", {"secret": "s\n"})
    repo.git("rm", "-q", "--cached", "secret")
    repo.write(".gitignore", "secret\n")
    assert "secret" not in files(repo, take(repo))


def test_a_file_that_the_index_lets_go_and_that_is_a_directory_now(repo: Repo) -> None:
    repo.git("rm", "-q", "README")
    repo.write("README/more", "more\n")
    assert files(repo, take(repo))["README/more"] == ("100644", b"more\n")


def test_attributes_that_a_sparse_checkout_leaves_out_still_count(repo: Repo) -> None:
    repo.commit("attributes", {"d/.gitattributes": "x text eol=crlf\n", "d/x": "1\n"})
    repo.git("update-index", "--skip-worktree", "d/.gitattributes")
    os.unlink(f"{repo.path}/d/.gitattributes")
    repo.write("d/x", "1\r\n2\r\n")
    assert files(repo, take(repo))["d/x"] == ("100644", b"1\n2\n")
