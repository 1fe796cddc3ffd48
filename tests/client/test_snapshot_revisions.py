"""Branches, tags and commits; what only origin has; clones without their whole history."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.client import snapshots
from tests.client.snapshots import contents, git_with, take
from tests.client.test_snapshot_worktree import hashes

from dobby import snapshot
from dobby.core import urls
from dobby.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo


class Clone:
    """A clone of `repo`, with the little of its interface that `snapshots` needs."""

    def __init__(self, repo: Repo, path: str, *options: str) -> None:
        self.path = path
        words = ["git", "clone", "-q", "--no-local", *options, f"file://{repo.path}", path]
        subprocess.run(words, check=True)

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.path, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()


def taken_from(clone: Clone, revision: str, *files: str) -> snapshot.Snapshot:
    checkout = snapshot.open_checkout(clone.path)
    return snapshot.take(checkout, revision, untracked_limit_bytes=snapshots.LIMIT, files=files)


def test_a_branch_a_tag_and_a_commit(repo: Repo) -> None:
    demo, v1 = repo.git("rev-parse", "demo"), repo.git("rev-parse", "v1^{commit}")
    taken = take(repo, "demo")
    assert (taken.commit, taken.branch, taken.subject) == (demo, "demo", "four")
    assert (taken.tree, taken.revision) == (repo.git("rev-parse", "demo^{tree}"), "demo")
    assert (taken.objects, taken.notices, taken.is_working_tree) == ((), (), False)
    assert take(repo, "refs/heads/demo").branch == "demo"
    tagged = take(repo, "v1")
    assert (tagged.commit, tagged.branch) == (v1, "")
    for expression in (v1, v1[:9], "v1^{}", "main~1", "HEAD~1", "demo@{0}~2", ":/two"):
        found = take(repo, expression)
        assert (found.commit, found.branch) == (v1, ""), expression
    assert (take(repo, "HEAD").branch, take(repo, "@").branch) == ("", "")


def test_a_branch_comes_before_a_tag_of_the_same_name(repo: Repo) -> None:
    repo.git("tag", "same", "v1")
    repo.git("branch", "same", "demo")
    taken = take(repo, "same")
    assert (taken.commit, taken.branch) == (repo.git("rev-parse", "demo"), "same")


@pytest.mark.parametrize("name", ["feature/deep", "grün-日本", "a@b", "v1.0", "x{y}"])
def test_names_of_branches(repo: Repo, name: str) -> None:
    repo.git("branch", name, "demo")
    assert take(repo, name).branch == name


@pytest.mark.parametrize(
    "revision", ["", "-rf", "--upload-pack=touch x", "a\nb", "a\0b", "\x1b[2J", "main\x7f"]
)
def test_hostile_revisions_are_refused_before_anything_runs(
    repo: Repo, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = snapshots.checkout(repo)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="is not allowed"):
        snapshot.take(checkout, revision, untracked_limit_bytes=1)


@pytest.mark.parametrize(
    "revision", ["main..demo", "^main", "main:hello.py", "HEAD~99", "v1^{tree}", "deadbeef"]
)
def test_what_is_no_commit_is_refused(repo: Repo, revision: str) -> None:
    with pytest.raises(UsageError, match="is no branch, tag or commit here"):
        take(repo, revision)


def test_a_wrong_name_is_answered_with_the_nearest(repo: Repo) -> None:
    repo.git("branch", "feature/login")
    with pytest.raises(UsageError) as wrong:
        take(repo, "feature/logn")
    assert wrong.value.exit_code == 2
    assert "feature/login" in wrong.value.hint


def test_replaced_objects_are_seen_as_the_host_will(repo: Repo) -> None:
    repo.git("replace", "demo", "main")
    assert take(repo, "demo").tree == repo.git("--no-replace-objects", "rev-parse", "demo^{tree}")


class TestOrigin:
    """What the laptop lacks is fetched, and nothing of the user's is touched."""

    @pytest.fixture
    def clone(self, repo: Repo, tmp_path: Path) -> Clone:
        return Clone(repo, str(tmp_path / "clone"))

    def test_a_remote_branch_as_last_seen(self, repo: Repo, clone: Clone) -> None:
        demo = repo.git("rev-parse", "demo")
        taken = taken_from(clone, "demo")
        assert (taken.commit, taken.branch) == (demo, "demo")
        taken = taken_from(clone, "origin/demo")
        assert (taken.commit, taken.branch) == (demo, "")

    @pytest.mark.parametrize("kind", ["branch", "tag", "commit"])
    def test_what_only_origin_has(self, repo: Repo, clone: Clone, kind: str) -> None:
        clone.git("fetch", "-q")  # FETCH_HEAD exists, and is one that must stay
        repo.git("checkout", "-q", "-b", "late")
        late = repo.commit("late", {"late.txt": "late\n"})
        if kind == "tag":
            repo.git("tag", "-a", "late-tag", "-m", "late")
            repo.git("checkout", "-q", "main")
            repo.git("branch", "-q", "-D", "late")
        for key in ("fetch.writeCommitGraph", "fetch.prune", "fetch.pruneTags"):
            clone.git("config", key, "true")
        clone.git("config", "remote.origin.tagOpt", "--tags")
        clone.git("tag", "of-my-own")
        repo.git("tag", "-f", "unseen", late)
        before = hashes(clone.path)
        revision = {"branch": "late", "tag": "late-tag", "commit": late}[kind]
        taken = taken_from(clone, revision, "late.txt")
        assert (taken.commit, taken.branch) == (late, "late" if kind == "branch" else "")
        assert taken.files == {"late.txt": b"late\n"}
        assert not os.path.exists(f"{taken.objects[0]}/info/commit-graphs")
        assert hashes(clone.path) == before

    def test_with_a_git_before_2_29(
        self, repo: Repo, clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It knows no --no-write-fetch-head: one that refuses it stands in front of the real git."""
        repo.git("checkout", "-q", "-b", "late")
        late = repo.commit("late", {"late.txt": "late\n"})
        real = subprocess.run(["/bin/sh", "-c", "command -v git"], stdout=subprocess.PIPE, check=True)
        old = tmp_path / "old" / "git"
        old.parent.mkdir()
        old.write_text(
            "#!/bin/sh\ncase \" $* \" in *' --no-write-fetch-head '*) exit 129;; esac\n"
            f'exec {real.stdout.decode().strip()} "$@"\n'
        )
        old.chmod(0o755)
        monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
        before = hashes(clone.path)
        assert taken_from(clone, "late").commit == late
        assert hashes(clone.path) == before

    def test_a_name_that_nobody_has(self, clone: Clone) -> None:
        with pytest.raises(UsageError, match=r"is no branch, tag or commit here or on origin$"):
            taken_from(clone, "nobody")

    def test_an_origin_that_does_not_answer(self, clone: Clone, tmp_path: Path) -> None:
        clone.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere")
        with pytest.raises(UsageError, match=r"origin did not answer: .*nowhere"):
            taken_from(clone, "nobody")

    def test_user_info_of_origin_is_in_no_message(self, clone: Clone) -> None:
        clone.git("remote", "set-url", "origin", "https://me:canary@127.0.0.1:1/x.git")
        with pytest.raises(UsageError, match="origin did not answer") as failed:
            taken_from(clone, "nobody")
        assert "canary" not in failed.value.message + failed.value.hint

    def test_nothing_prompts_without_a_terminal(self, clone: Clone, tmp_path: Path) -> None:
        """GIT_SSH_COMMAND writes down what ssh would be told about asking."""
        clone.git("remote", "set-url", "origin", "ssh://127.0.0.1:1/x.git")
        told = tmp_path / "told"
        script = (
            "import sys; from dobby import snapshot; c = snapshot.open_checkout(sys.argv[1])\n"
            "snapshot.take(c, 'nobody', untracked_limit_bytes=1)\n"
        )
        env = {**os.environ, "GIT_SSH_COMMAND": f"env > {told}; false", "SSH_ASKPASS": "/bin/asks"}
        argv = [sys.executable, "-c", script, clone.path]
        subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        lines = told.read_text().splitlines()
        for line in ("GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS=false", "SSH_ASKPASS_REQUIRE=force"):
            assert line in lines

    def test_the_url_is_as_git_uses_it_without_user_info(self, clone: Clone) -> None:
        clone.git("config", "url.https://me:canary@example.org/.insteadOf", "ex:")
        clone.git("config", "url.https://other.example/.insteadOf", "e")
        clone.git("config", "url.https://push.example/.pushInsteadOf", "ex:")
        clone.git("remote", "set-url", "origin", "ex:team/x.git")
        assert snapshot.open_checkout(clone.path).origin == "https://example.org/team/x.git"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@example.org/a@b.git", "https://example.org/a@b.git"),
        ("https://u:p@ss@example.org/x", "https://example.org/x"),
        ("ssh://git@example.org:22/x", "ssh://example.org:22/x"),
        ("git@example.org:team/x.git", "example.org:team/x.git"),
        ("/srv/a@b:c.git", "/srv/a@b:c.git"),
        ("../up@date", "../up@date"),
        ("example.org:x@y", "example.org:x@y"),
    ],
)
def test_user_info_is_taken_off(url: str, expected: str) -> None:
    assert urls.without_user_info(url) == expected


class TestWithoutWholeHistory:
    """From a shallow or partial clone the tip travels as a parentless commit of the same tree."""

    @pytest.mark.parametrize(
        ("kind", "option"), [("shallow", "--depth=1"), ("partial", "--filter=blob:none")]
    )
    def test_the_tip_travels_parentless(self, repo: Repo, tmp_path: Path, kind: str, option: str) -> None:
        repo.git("config", "uploadpack.allowFilter", "true")
        clone = Clone(repo, str(tmp_path / "clone"), option)
        checkout = snapshot.open_checkout(clone.path)
        assert (checkout.shallow, checkout.partial) == (kind == "shallow", kind == "partial")
        taken = taken_from(clone, "main")
        assert taken.parentless
        assert (taken.tree, taken.subject) == (repo.git("rev-parse", "main^{tree}"), "three")
        assert any(kind in notice for notice in taken.notices)
        show = "--format=%P|%an %ae %at|%cn %ct|%B"
        ours = git_with(repo, taken, "log", "-1", show, taken.commit).decode()
        assert ours == "|" + repo.git_bytes("log", "-1", show, "main").decode().partition("|")[2]
        assert taken_from(clone, "main").commit == taken.commit == taken_from(clone, ".").commit
        assert snapshot.root_commits(checkout, taken, str(tmp_path / "cache")) == ()
        assert snapshot.tags(checkout, taken, str(tmp_path / "cache")) == ()

    @pytest.mark.parametrize("option", ["--depth=1", "--filter=blob:none"])
    def test_the_working_tree_too(self, repo: Repo, tmp_path: Path, option: str) -> None:
        repo.git("config", "uploadpack.allowFilter", "true")
        clone = Clone(repo, str(tmp_path / "clone"), option)
        (tmp_path / "clone" / "hello.py").write_text("print('changed')\n")
        taken = taken_from(clone, ".")
        assert taken.parentless
        assert taken.notices
        assert clone.git("rev-parse", "HEAD") == taken.base
        found = git_with(clone, taken, "log", "--format=%P %s", taken.commit)  # type: ignore[arg-type]
        assert found.decode().strip() == "working tree of main"

    def test_a_signature_does_not_travel_with_the_copy(self, repo: Repo, tmp_path: Path) -> None:
        raw = repo.git_bytes("cat-file", "commit", "main").replace(
            b"\n\n", b"\ngpgsig -----BEGIN\n parent x\n \n -----END\nencoding latin1\n\n", 1
        )
        env_free = ["git", "hash-object", "-t", "commit", "-w", "--stdin"]
        done = subprocess.run(env_free, cwd=repo.path, input=raw, stdout=subprocess.PIPE, check=True)
        repo.git("update-ref", "refs/heads/main", done.stdout.decode().strip())
        clone = Clone(repo, str(tmp_path / "clone"), "--depth=1")
        taken = taken_from(clone, "main")
        copy = git_with(repo, taken, "cat-file", "commit", taken.commit)
        assert b"encoding latin1" in copy
        assert b"gpgsig" not in copy
        assert b"parent" not in copy
        assert contents(repo, taken)["README"] == b"an example\n"
