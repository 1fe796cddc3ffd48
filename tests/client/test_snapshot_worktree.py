"""`.`: the working tree as it stands, as one commit; the user's repository stays as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests import weird
from tests.client import snapshots
from tests.client.snapshots import as_git_adds, contents, files, git_with, take

from dobby import snapshot
from dobby.core.errors import DobbyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gitrepo import Repo


def every_kind_of_change(repo: Repo) -> None:
    """Modified, staged, staged then modified, deleted, untracked, moved, mode, symlinks."""
    repo.write(".gitignore", "*.log\n")
    repo.write("noise.log", "ignored\n")
    repo.write("hello.py", "print('changed')\n")
    repo.write("staged.py", "print('staged')\n")
    repo.git("add", "staged.py")
    repo.write("staged.py", "print('staged, then changed')\n")
    repo.write("new/deep/file.txt", "untracked\n")
    repo.write("tool.sh", "#!/bin/sh\n", 0o755)
    os.unlink(f"{repo.path}/lib/numbers.txt")
    os.symlink("hello.py", f"{repo.path}/link")
    os.symlink("/nowhere/at/all", f"{repo.path}/dangling")
    os.chmod(f"{repo.path}/run.sh", 0o644)
    repo.git("mv", "README", "READ ME")


def hashes(root: str) -> dict[str, str]:
    """Of each file below `root` the content's hash, of each symlink its target; directories."""
    found: dict[str, str] = {}
    for folder, names, inside in os.walk(root):
        found |= {os.path.join(folder, name): "directory" for name in names}
        for name in inside:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            else:
                with open(path, "rb") as file:
                    found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_it_is_what_the_user_sees(repo: Repo) -> None:
    every_kind_of_change(repo)
    taken = take(repo)
    assert taken.tree == as_git_adds(repo)
    found = files(repo, taken)
    assert found["hello.py"] == ("100644", b"print('changed')\n")
    assert found["staged.py"] == ("100644", b"print('staged, then changed')\n")
    assert found["new/deep/file.txt"] == ("100644", b"untracked\n")
    assert found["tool.sh"] == ("100755", b"#!/bin/sh\n")
    assert found["run.sh"][0] == "100644"
    assert found["link"] == ("120000", b"hello.py")
    assert found["dangling"] == ("120000", b"/nowhere/at/all")
    assert "noise.log" not in found
    assert "lib/numbers.txt" not in found
    assert "README" not in found
    assert (taken.is_working_tree, taken.branch, taken.base) == (True, "main", repo.head)
    assert taken.untracked == 5  # .gitignore, file.txt, tool.sh, link, dangling
    assert taken.changed == 6  # hello, staged, numbers, run.sh, README and READ ME


def test_its_commit_stands_on_head_with_a_fixed_identity(repo: Repo) -> None:
    repo.write("hello.py", "print('changed')\n")
    taken = take(repo)
    text = git_with(repo, taken, "log", "-1", "--format=%P|%an|%ae|%cn|%ce|%ct|%at|%s", taken.commit)
    date = repo.git("log", "-1", "--format=%ct")
    who = "dobby|dobby@localhost"
    assert text.decode().strip() == f"{repo.head}|{who}|{who}|{date}|{date}|working tree of main"


def test_the_same_tree_has_the_same_id(repo: Repo) -> None:
    repo.write("hello.py", "print('changed')\n")
    first = take(repo)
    repo.write("hello.py", "print('other')\n")
    second = take(repo)
    repo.write("hello.py", "print('changed')\n")
    repo.git("add", "-A")
    assert take(repo).commit == first.commit != second.commit


def test_an_unchanged_tree_is_head_itself(repo: Repo) -> None:
    assert take(repo).commit == repo.head
    repo.write("hello.py", "print('changed')\n")
    repo.git("add", "-A")
    repo.git("show", "HEAD:hello.py")
    repo.write("hello.py", repo.git("show", "HEAD:hello.py") + "\n")
    taken = take(repo)  # staged, then put back: the tree is HEAD's
    assert (taken.commit, taken.changed) == (repo.head, 0)


def test_the_users_repository_is_left_byte_for_byte(repo: Repo) -> None:
    repo.commit("nested base")
    repo.git("stash", "list")
    every_kind_of_change(repo)
    subprocess.run(["git", "init", "-q", "nested"], cwd=repo.path, check=True)
    repo.write("nested/inner.txt", "inner\n")
    # Stat data that does not match: `git status` would like to refresh the index.
    os.utime(f"{repo.path}/run.sh", (1, 1))
    # git marks an object as used, by its time, whenever it would have written it again.
    kept = [path for path in hashes(repo.path) if "/.git/objects/" not in path]
    times = {path: os.lstat(path).st_mtime_ns for path in kept}
    before = hashes(repo.path)
    assert take(repo).commit != repo.head
    take(repo, "demo")
    assert hashes(repo.path) == before
    assert {path: os.lstat(path).st_mtime_ns for path in kept} == times


def test_objects_go_to_a_directory_of_our_own(repo: Repo, isolated: Path) -> None:
    repo.write("hello.py", "print('changed')\n")
    taken = take(repo)
    assert all(path.startswith(str(isolated / ".cache/dobby/objects/")) for path in taken.objects)
    assert os.stat(taken.objects[0]).st_mode & 0o777 == 0o700
    assert os.listdir(taken.objects[0]) != []
    assert not [name for name in os.listdir(taken.objects[0]) if name.startswith("index-")]


def test_objects_that_no_snapshot_needs_any_more_are_removed(repo: Repo) -> None:
    repo.write("hello.py", "print('first')\n")
    own = take(repo).objects[0]
    fifteen_days_ago = os.stat(own).st_mtime - 15 * 86400
    for folder, _, names in os.walk(own):
        for name in names:
            os.utime(os.path.join(folder, name), (fifteen_days_ago, fifteen_days_ago))
    before = {path for path in hashes(own) if "trimmed" not in path}
    repo.write("hello.py", "print('second')\n")
    taken = take(repo)
    after = set(hashes(own))
    assert not {path for path in before & after if os.path.isfile(path)}
    assert contents(repo, taken)["hello.py"] == b"print('second')\n"


@pytest.mark.parametrize("name", sorted(weird.FILE_NAMES))
def test_names_that_break_programs(repo: Repo, name: str) -> None:
    path = weird.FILE_NAMES[name]
    repo.write(path, "tracked\n")
    repo.write(f"folder/{path}", "tracked\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "weird")
    repo.write(path, "changed\n")
    os.unlink(f"{repo.path}/folder/{path}")
    repo.write(f"other/{path}", "untracked\n")
    taken = take(repo)
    found = contents(repo, taken)
    assert (found[path], found[f"other/{path}"]) == (b"changed\n", b"untracked\n")
    assert f"folder/{path}" not in found


def test_a_file_becomes_a_directory_and_a_directory_a_file(repo: Repo) -> None:
    os.unlink(f"{repo.path}/hello.py")
    repo.write("hello.py/inner.py", "inner\n")
    os.unlink(f"{repo.path}/lib/numbers.txt")
    os.rmdir(f"{repo.path}/lib")
    repo.write("lib", "a file now\n")
    taken = take(repo)
    found = contents(repo, taken)
    assert found["hello.py/inner.py"] == b"inner\n"
    assert found["lib"] == b"a file now\n"
    assert taken.tree == as_git_adds(repo)


def test_a_directory_becomes_a_symlink(repo: Repo) -> None:
    os.rename(f"{repo.path}/lib", f"{repo.path}/real")
    os.symlink("real", f"{repo.path}/lib")
    taken = take(repo)
    assert files(repo, taken)["lib"] == ("120000", b"real")
    assert taken.tree == as_git_adds(repo)


def test_a_conflict_travels_as_the_files_stand(repo: Repo) -> None:
    repo.commit("ours", {"hello.py": "print('ours')\n", "gone.txt": "ours\n"})
    repo.git("checkout", "-q", "-b", "theirs", "HEAD~1")
    repo.commit("theirs", {"hello.py": "print('theirs')\n", "gone.txt": "theirs\n"})
    merge = subprocess.run(["git", "merge", "-q", "main"], cwd=repo.path, capture_output=True, check=False)
    assert merge.returncode == 1
    os.unlink(f"{repo.path}/gone.txt")
    found = contents(repo, take(repo))
    with open(f"{repo.path}/hello.py", "rb") as file:
        assert found["hello.py"] == file.read()
    assert b"<<<<<<<" in found["hello.py"]
    assert "gone.txt" not in found


def test_intent_to_add(repo: Repo) -> None:
    repo.write("planned.txt", "planned\n")
    repo.write("dropped.txt", "dropped\n")
    repo.git("add", "-N", "planned.txt", "dropped.txt")
    os.unlink(f"{repo.path}/dropped.txt")
    found = contents(repo, take(repo))
    assert found["planned.txt"] == b"planned\n"
    assert "dropped.txt" not in found


def test_a_change_of_the_same_size_within_one_tick_is_seen(repo: Repo) -> None:
    """The file's stat data is as recorded; only the index's own time tells that it may differ."""
    repo.git("config", "core.trustctime", "false")
    then = 1_700_000_000
    os.utime(repo.write("raced.txt", "aaaa\n"), (then, then))
    repo.git("add", "raced.txt")
    os.utime(repo.write("raced.txt", "bbbb\n"), (then, then))
    os.utime(f"{repo.path}/.git/index", (then, then))
    assert contents(repo, take(repo))["raced.txt"] == b"bbbb\n"


def test_untracked_files_over_the_limit_are_named_before_anything_is_written(
    repo: Repo, isolated: Path
) -> None:
    repo.write("big.bin", b"x" * 3_000_000)
    repo.write("bigger.bin", b"x" * 5_000_000)
    repo.write("small.txt", "x\n")
    with pytest.raises(
        UsageError, match=r"8 MB in all, over the limit of 7 MB; .*bigger.bin \(5 MB\), big.bin"
    ):
        take(repo, limit=7_000_000)
    assert not (isolated / ".cache" / "dobby" / "objects").exists()
    repo.write(".gitignore", "bigger.bin\n")
    assert take(repo, limit=7_000_000).untracked_bytes == 3_000_000 + 2 + len("bigger.bin\n")


def test_the_first_files_of_an_empty_repository(tmp_path: Path, make_repo: Callable[..., Repo]) -> None:
    from tests.gitrepo import Repo as Empty

    empty = Empty(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match="no commit and no files"):
        take(empty)
    with pytest.raises(UsageError, match="no commit yet"):
        take(empty, "main")
    empty.write("a.txt", "a\n")
    taken = take(empty)
    assert (taken.parentless, taken.base, taken.branch) == (True, "", "main")
    assert contents(empty, taken) == {"a.txt": b"a\n"}
    assert snapshot.root_commits(snapshots.checkout(empty), taken, str(tmp_path / "cache")) == ()


def test_a_detached_head(repo: Repo) -> None:
    repo.git("checkout", "-q", "--detach")
    repo.write("hello.py", "print('changed')\n")
    taken = take(repo)
    assert (taken.branch, taken.subject) == ("", "working tree of a detached head")


def test_sha256(make_repo: Callable[..., Repo]) -> None:
    repo = make_repo("long", "sha256")
    repo.write("hello.py", "print('changed')\n")
    taken = take(repo)
    assert snapshots.checkout(repo).object_format == "sha256"
    assert len(taken.commit) == len(taken.tree) == 64
    assert contents(repo, taken)["hello.py"] == b"print('changed')\n"


def test_a_linked_worktree(repo: Repo) -> None:
    linked = f"{repo.path}-linked"
    repo.git("worktree", "add", "-q", linked, "demo")
    with open(f"{linked}/hello.py", "w") as file:
        file.write("print('linked')\n")
    checkout = snapshot.open_checkout(linked)
    taken = snapshot.take(checkout, ".", untracked_limit_bytes=snapshots.LIMIT)
    assert (checkout.top, checkout.branch, taken.branch) == (linked, "demo", "demo")
    assert checkout.common_dir == f"{repo.path}/.git"
    assert taken.base == repo.git("rev-parse", "demo")
    assert contents(repo, taken)["hello.py"] == b"print('linked')\n"


def test_an_unreadable_file_and_directory_are_named(repo: Repo) -> None:
    """As root only without the capability to read everything, which a child gives up."""
    script = (
        "import sys; from dobby import snapshot; from dobby.core.errors import DobbyError\n"
        "try: snapshot.take(snapshot.open_checkout(sys.argv[1]), '.', untracked_limit_bytes=1 << 20)\n"
        "except DobbyError as error: print(error.message)\n"
    )
    argv = [sys.executable, "-c", script, repo.path]
    if os.geteuid() == 0:
        argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *argv]
    repo.write("secret.txt", "secret\n", 0o000)
    said = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    assert "secret.txt" in said
    assert "Permission denied" in said
    assert said.count("\n") == 1
    os.chmod(f"{repo.path}/secret.txt", 0o644)
    repo.write("closed/file.txt", "x\n")
    os.chmod(f"{repo.path}/closed", 0o000)
    try:
        said = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    finally:
        os.chmod(f"{repo.path}/closed", 0o755)
    assert "closed/" in said
    assert "Permission denied" in said


def test_a_file_that_is_no_file_is_named(repo: Repo) -> None:
    os.unlink(f"{repo.path}/hello.py")
    os.mkfifo(f"{repo.path}/hello.py")
    with pytest.raises(DobbyError, match=r"hello.py: unsupported file type"):
        take(repo)


@pytest.mark.parametrize("link", ["lib", "lib/.gitattributes"])
def test_attributes_behind_a_symlink_to_itself_say_nothing(repo: Repo, link: str) -> None:
    repo.commit("attributes", {"lib/.gitattributes": "*.txt filter=crypt\n"})
    shutil.rmtree(f"{repo.path}/lib")
    os.makedirs(os.path.dirname(f"{repo.path}/{link}"), exist_ok=True)
    os.symlink(os.path.basename(link), f"{repo.path}/{link}")
    assert contents(repo, take(repo))[link] == os.path.basename(link).encode()
