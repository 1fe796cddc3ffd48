"""`.` under git settings and index features that change what git sees or writes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.client import snapshots
from tests.client.snapshots import as_git_adds, contents, take

from dobby import snapshot
from dobby.core.errors import DobbyError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_line_ends_are_converted_as_git_does_and_never_refused(repo: Repo, autocrlf: str) -> None:
    repo.git("config", "core.autocrlf", autocrlf)
    repo.git("config", "core.safecrlf", "true")
    repo.write("windows.txt", "one\r\ntwo\r\n")
    repo.write("mixed.txt", "one\r\ntwo\n")
    repo.write("hello.py", "print('changed')\r\n")
    found = contents(repo, take(repo))
    assert found["windows.txt"] == b"one\ntwo\n"
    assert found["mixed.txt"] == b"one\ntwo\n"
    assert found["hello.py"] == b"print('changed')\n"


@pytest.mark.parametrize("how", [["--no-cone"], ["--cone"], ["--cone", "--sparse-index"]])
def test_a_sparse_checkout_keeps_what_it_leaves_out(repo: Repo, how: list[str]) -> None:
    repo.commit("more", {"big/one.txt": "1\n", "big/deep/two.txt": "2\n", "src/code.py": "code\n"})
    pattern = "/src/" if how == ["--no-cone"] else "src"
    repo.git("sparse-checkout", "set", *how, pattern)
    assert not os.path.exists(f"{repo.path}/big")
    repo.write("src/code.py", "changed\n")
    repo.write("src/new.py", "new\n")
    found = contents(repo, take(repo))
    assert (found["big/one.txt"], found["big/deep/two.txt"]) == (b"1\n", b"2\n")
    assert (found["src/code.py"], found["src/new.py"]) == (b"changed\n", b"new\n")


def test_a_file_outside_the_sparse_patterns_that_stands_there_travels(repo: Repo) -> None:
    repo.commit("more", {"big/one.txt": "1\n", "src/code.py": "code\n"})
    repo.git("sparse-checkout", "set", "--cone", "src")
    repo.write("big/one.txt", "brought back\n")
    assert contents(repo, take(repo, force=True))["big/one.txt"] == b"brought back\n"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_hidden_edits_are_refused_and_travel_with_force(repo: Repo, flag: str) -> None:
    repo.git("update-index", flag, "hello.py")
    assert take(repo).commit == repo.head  # flagged, not edited
    repo.write("hello.py", "print('hidden')\n")
    with pytest.raises(UsageError, match=r"hello.py: edited, but hidden") as refused:
        take(repo)
    assert "--force" in refused.value.hint
    assert contents(repo, take(repo, force=True))["hello.py"] == b"print('hidden')\n"
    assert repo.git("ls-files", "-v", "hello.py")[0] in "Sh"


def test_a_hidden_deletion_is_an_edit_only_under_assume_unchanged(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "hello.py")
    repo.git("update-index", "--assume-unchanged", "run.sh")
    os.unlink(f"{repo.path}/hello.py")
    assert contents(repo, take(repo))["hello.py"] == b"print('hello')\n"
    os.unlink(f"{repo.path}/run.sh")
    with pytest.raises(UsageError, match=r"run.sh: edited"):
        take(repo)
    assert "run.sh" not in contents(repo, take(repo, force=True))


def test_both_flags_on_one_file(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "hello.py")
    repo.git("update-index", "--assume-unchanged", "hello.py")
    repo.write("hello.py", "print('hidden')\n")
    with pytest.raises(UsageError, match=r"hello.py: edited"):
        take(repo)
    assert contents(repo, take(repo, force=True))["hello.py"] == b"print('hidden')\n"


def test_index_features_and_odd_settings_change_nothing(repo: Repo, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    hook = repo.write(".git/hooks/post-index-change", f"#!/bin/sh\ntouch {canary}\n", 0o755)
    for name in ("pre-commit", "reference-transaction", "post-commit"):
        os.link(hook, f"{repo.path}/.git/hooks/{name}")
    for key, value in {
        "core.splitIndex": "true",
        "core.untrackedCache": "true",
        "core.fsmonitor": hook,
        "commit.gpgSign": "true",
        "gpg.program": "false",
        "i18n.commitEncoding": "latin1",
        "core.quotePath": "true",
        "status.showUntrackedFiles": "no",
        "status.relativePaths": "true",
        "diff.ignoreSubmodules": "all",
        "core.commentChar": "w",
        "commit.cleanup": "scissors",
        "user.useConfigOnly": "true",
    }.items():
        repo.git("config", key, value)
    repo.git("update-index", "--split-index", "--untracked-cache", "--fsmonitor")
    repo.git("config", "splitIndex.maxPercentChange", "0")  # each write makes a new shared part
    canary.unlink(missing_ok=True)
    repo.write("grün.txt", "ü\n")
    repo.write("hello.py", "print('changed')\n")
    shared = {name for name in os.listdir(f"{repo.path}/.git") if name.startswith("sharedindex")}
    taken = take(repo)
    assert not canary.exists()
    assert shared
    assert {n for n in os.listdir(f"{repo.path}/.git") if n.startswith("sharedindex")} == shared
    assert contents(repo, taken)["grün.txt"] == "ü\n".encode()
    assert taken.tree == as_git_adds(repo)


def test_no_identity_is_needed(repo: Repo, isolated: Path) -> None:
    (isolated / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    repo.write("hello.py", "print('changed')\n")
    assert take(repo).commit != repo.head


def test_a_clean_filter_that_fails_is_one_sentence(repo: Repo) -> None:
    repo.git("config", "filter.broken.clean", "exit 1")
    repo.git("config", "filter.broken.required", "true")
    repo.write(".gitattributes", "*.dat filter=broken\n")
    repo.write("a.dat", "a\n")
    with pytest.raises(DobbyError, match=r"cannot be read: .*a\.dat") as failed:
        take(repo, force=True)
    assert "\n" not in failed.value.message


class TestForeignFilters:
    """Files under a filter of the laptop's are named and refused, unless forced."""

    @pytest.fixture
    def crypt(self, repo: Repo) -> Repo:
        repo.git("config", "filter.crypt.clean", "tr a-z A-Z")
        repo.git("config", "filter.crypt.smudge", "tr A-Z a-z")
        repo.commit("secrets", {".gitattributes": "secret/** filter=crypt\n", "secret/key": "abc\n"})
        return repo

    @pytest.mark.parametrize("revision", [".", "main"])
    def test_named_and_refused(self, crypt: Repo, revision: str) -> None:
        with pytest.raises(UsageError, match=r"secret/key: under the filter crypt") as refused:
            take(crypt, revision)
        assert "--force" in refused.value.hint
        assert contents(crypt, take(crypt, revision, force=True))["secret/key"] == b"ABC\n"

    def test_an_untracked_file_too_and_its_filter_does_not_run(self, crypt: Repo, tmp_path: Path) -> None:
        crypt.git("config", "filter.crypt.clean", f"touch {tmp_path}/ran; tr a-z A-Z")
        crypt.git("rm", "-q", "--cached", "-r", "secret")
        (tmp_path / "ran").unlink(missing_ok=True)
        with pytest.raises(UsageError, match="secret/key"):
            take(crypt)
        assert not (tmp_path / "ran").exists()
        assert contents(crypt, take(crypt, force=True))["secret/key"] == b"ABC\n"

    @pytest.mark.parametrize("revision", [".", "main"])
    def test_a_filter_that_this_laptop_does_not_have_hinders_nothing(
        self, crypt: Repo, revision: str
    ) -> None:
        crypt.git("config", "--remove-section", "filter.crypt")
        expected = b"ABC\n" if revision == "main" else b"abc\n"
        assert contents(crypt, take(crypt, revision))["secret/key"] == expected

    @pytest.mark.parametrize("revision", [".", "main"])
    def test_attributes_outside_the_tree_count(self, repo: Repo, isolated: Path, revision: str) -> None:
        repo.git("config", "filter.crypt.clean", "cat")
        assert take(repo, revision).commit == repo.head
        attributes = isolated / ".config" / "git" / "attributes"
        attributes.parent.mkdir(parents=True)
        attributes.write_text("*.py filter=crypt\n")
        with pytest.raises(UsageError, match=r"hello.py: under the filter"):
            take(repo, revision)

    def test_attributes_of_a_directory_and_of_another_branch(self, repo: Repo) -> None:
        repo.git("config", "filter.crypt.clean", "cat")
        repo.git("checkout", "-q", "demo")
        repo.commit("attributes", {"lib/.gitattributes": "numbers.txt filter=crypt\n"})
        repo.git("checkout", "-q", "main")
        assert take(repo).commit == repo.head
        with pytest.raises(UsageError, match=r"lib/numbers.txt"):
            take(repo, "demo")


class TestNestedRepositories:
    """Repositories inside the checkout that are no submodules travel as plain files."""

    def nested(self, repo: Repo, path: str) -> None:
        folder = f"{repo.path}/{path}"
        os.makedirs(folder)
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "inner"]):
            if words == ["add", "-A"]:
                repo.write(f"{path}/tracked.txt", "tracked\n")
                repo.write(f"{path}/.gitignore", "*.tmp\n")
            subprocess.run(["git", *words], cwd=folder, check=True)
        repo.write(f"{path}/untracked.txt", "untracked\n")
        repo.write(f"{path}/ignored.tmp", "ignored\n")

    def test_as_plain_files(self, repo: Repo) -> None:
        self.nested(repo, "vendor/inner")
        self.nested(repo, "vendor/inner/innermost")
        os.unlink(f"{repo.path}/vendor/inner/tracked.txt")
        taken = take(repo)
        found = {path: content for path, content in contents(repo, taken).items() if path[:6] == "vendor"}
        assert found == {
            "vendor/inner/.gitignore": b"*.tmp\n",
            "vendor/inner/untracked.txt": b"untracked\n",
            "vendor/inner/innermost/.gitignore": b"*.tmp\n",
            "vendor/inner/innermost/tracked.txt": b"tracked\n",
            "vendor/inner/innermost/untracked.txt": b"untracked\n",
        }
        assert taken.untracked == 5

    def test_without_a_commit(self, repo: Repo) -> None:
        subprocess.run(["git", "init", "-q", f"{repo.path}/fresh"], check=True)
        repo.write("fresh/a.txt", "a\n")
        assert contents(repo, take(repo))["fresh/a.txt"] == b"a\n"

    def test_added_by_mistake_as_a_commit(self, repo: Repo) -> None:
        self.nested(repo, "inner")
        repo.git("-c", "advice.addEmbeddedRepo=false", "add", "inner")
        repo.git("commit", "-q", "-m", "a gitlink without .gitmodules")
        taken = take(repo)
        assert contents(repo, taken)["inner/tracked.txt"] == b"tracked\n"
        assert not taken.modules

    def test_ignored_ones_stay(self, repo: Repo) -> None:
        self.nested(repo, "inner")
        repo.commit("ignore", {".gitignore": "inner/\n"})
        assert take(repo).commit == repo.head


class TestTheCallersEnvironment:
    """What a shell or a hook exports."""

    def test_git_dir_and_work_tree_are_meant(
        self, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_DIR", f"{repo.path}/.git")
        monkeypatch.setenv("GIT_WORK_TREE", repo.path)
        checkout = snapshot.open_checkout(str(tmp_path))
        assert (checkout.top, checkout.git_dir) == (repo.path, f"{repo.path}/.git")
        assert snapshot.take(checkout, "demo", untracked_limit_bytes=1).branch == "demo"

    @pytest.mark.parametrize(("option", "name"), [("--no-edit", ".git/index"), ("--all", "index.lock")])
    def test_a_hooks_index(self, repo: Repo, tmp_path: Path, option: str, name: str) -> None:
        """git exports GIT_DIR, GIT_INDEX_FILE and GIT_PREFIX to its hooks."""
        repo.write("dirty.txt", "untracked\n")
        subprocess.run(["git", "init", "-q", f"{repo.path}/nested"], check=True)
        repo.write("nested/tracked.txt", "tracked\n")
        subprocess.run(["git", "add", "-A"], cwd=f"{repo.path}/nested", check=True)
        repo.write("nested/.gitignore", "tracked.txt\n")
        script = (
            "import os, sys; from dobby import snapshot; c = snapshot.open_checkout(os.getcwd())\n"
            "t = snapshot.take(c, '.', untracked_limit_bytes=1 << 20, files=('nested/tracked.txt',))\n"
            "print(*t.files.values(), t.untracked)\n"
            f"open({str(tmp_path / 'said')!r}, 'w').write(os.environ['GIT_INDEX_FILE'])\n"
        )
        python = repo.write(".git/take.py", script)
        repo.write(".git/hooks/pre-commit", f"#!/bin/sh\nexec {sys.executable} {python}\n", 0o755)
        words = ["git", "commit", "-q", option, "--allow-empty", "-m", "hooked"]
        done = subprocess.run(words, cwd=repo.path, stderr=subprocess.PIPE, check=True)
        assert done.stderr == b"b'tracked\\n' 3\n"  # git sends a hook's stdout to stderr
        assert (tmp_path / "said").read_text().endswith(name)

    def test_a_path_with_a_newline_and_a_colon(self, tmp_path: Path) -> None:
        from tests.gitrepo import Repo as Made

        odd = Made(str(tmp_path / 'odd\n:"dir'))
        odd.commit("one", {"sub/a.txt": "a\n"})
        odd.write("sub/a.txt", "changed\n")
        checkout = snapshot.open_checkout(f"{odd.path}/sub")
        assert (checkout.top, checkout.prefix) == (odd.path, "sub")
        taken = snapshot.take(checkout, ".", untracked_limit_bytes=1, files=("sub/a.txt",))
        assert taken.files == {"sub/a.txt": b"changed\n"}


def test_an_object_that_is_damaged_is_one_sentence(repo: Repo) -> None:
    head = repo.head
    path = f"{repo.path}/.git/objects/{head[:2]}/{head[2:]}"
    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(b"damaged")
    for revision in (".", "main"):
        with pytest.raises(DobbyError, match=r"git .* failed in ") as failed:
            take(repo, revision)
        assert "\n" not in failed.value.message


def test_a_cache_that_cannot_be_written(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no directory\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    taken = take(repo)
    roots = snapshot.root_commits(snapshots.checkout(repo), taken, str(tmp_path / "file" / "dobby"))
    assert len(roots) == 1
    repo.write("hello.py", "print('changed')\n")
    with pytest.raises(DobbyError, match="cannot keep the snapshot's objects there") as failed:
        take(repo)
    assert "XDG_CACHE_HOME" in failed.value.hint


def test_where_there_is_no_checkout(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not inside a git checkout"):
        snapshot.open_checkout(str(tmp_path))
    with pytest.raises(UsageError, match="not inside a git checkout"):
        snapshot.open_checkout(f"{repo.path}/.git")
    bare = str(tmp_path / "bare.git")
    repo.git("clone", "-q", "--bare", ".", bare)
    with pytest.raises(UsageError, match="bare repository"):
        snapshot.open_checkout(bare)


def test_the_checkout_says_where_the_caller_stands(repo: Repo) -> None:
    os.makedirs(f"{repo.path}/a/b")
    checkout = snapshot.open_checkout(f"{repo.path}/a/b")
    assert (checkout.top, checkout.prefix, checkout.branch) == (repo.path, "a/b", "main")
    assert (checkout.shallow, checkout.partial, checkout.origin) == (False, False, "")
    assert snapshots.checkout(repo).prefix == ""
