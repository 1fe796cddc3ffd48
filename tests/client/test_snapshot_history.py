"""Packs that another repository can use, roots, tags and likely bases."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client import snapshots
from tests.client.snapshots import take
from tests.client.test_snapshot_revisions import Clone, taken_from
from tests.counted import Counted

from dobby import snapshot
from dobby.core.errors import DobbyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gitrepo import Repo


def send(checkout: snapshot.Checkout, taken: snapshot.Snapshot, cache: str, have: list[str]) -> int:
    """Index the snapshot's pack in the bare repository `cache`; the pack's length in bytes."""
    tags = [id for _, id in snapshot.tags(checkout, taken, f"{cache}.cache")]
    packing = snapshot.pack(checkout.git_dir, taken.objects, [taken.commit, *tags], have)
    stream, said = packing.communicate()
    assert packing.returncode == 0, said
    form = f"--object-format={checkout.object_format}"
    if not os.path.exists(cache):
        subprocess.run(["git", "init", "-q", "--bare", form, cache], check=True)
    index = ["git", "index-pack", "--stdin", "--fix-thin"]
    subprocess.run(index, cwd=cache, input=stream, stdout=subprocess.DEVNULL, check=True)
    return len(stream)


def whole(cache: str, commit: str) -> bool:
    """Whether all that `commit` reaches is in `cache`."""
    words = ["git", "rev-list", "--objects", "--quiet", commit]
    return subprocess.run(words, cwd=cache, check=False).returncode == 0


class TestPack:
    """A pack carries what the other side lacks and no more."""

    @pytest.mark.parametrize("form", ["sha1", "sha256"])
    def test_first_whole_then_thin(self, make_repo: Callable[..., Repo], tmp_path: Path, form: str) -> None:
        repo, cache = make_repo("project", form), str(tmp_path / "cache.git")
        repo.commit("large", {"large.txt": os.urandom(40_000).hex()})
        checkout, first = snapshots.checkout(repo), take(repo)
        length = send(checkout, first, cache, [])
        assert whole(cache, first.commit)
        repo.write("large.txt", "a line in front\n" + repo.git("show", "HEAD:large.txt"))
        repo.write("new.txt", "new\n")
        second = take(repo)
        assert send(checkout, second, cache, [first.commit]) < 2_000 < length
        assert whole(cache, second.commit)
        described = subprocess.run(
            ["git", "cat-file", "-t", repo.git("rev-parse", "v1")],
            cwd=cache,
            stdout=subprocess.PIPE,
            check=True,
        )
        assert described.stdout == b"tag\n"

    @pytest.mark.parametrize("option", ["--depth=1", "--filter=blob:none"])
    def test_of_a_clone_without_its_whole_history(self, repo: Repo, tmp_path: Path, option: str) -> None:
        repo.git("config", "uploadpack.allowFilter", "true")
        clone, cache = Clone(repo, str(tmp_path / "clone"), option), str(tmp_path / "cache.git")
        taken = taken_from(clone, "demo" if option != "--depth=1" else "main")
        send(snapshot.open_checkout(clone.path), taken, cache, [])
        assert whole(cache, taken.commit)

    def test_what_cannot_be_packed_is_said(self, repo: Repo) -> None:
        packing = snapshot.pack(f"{repo.path}/.git", (), ["0" * 40], [])
        stream, said = packing.communicate()
        assert packing.returncode != 0
        assert said
        assert not stream


def test_known_asks_without_fetching(repo: Repo, tmp_path: Path) -> None:
    taken = take(repo)
    absent = "1" * len(taken.commit)
    assert snapshot.known(f"{repo.path}/.git", (), [taken.commit, absent]) == {taken.commit}
    assert snapshot.known(f"{repo.path}/.git", (), []) == set()
    repo.write("new.txt", "new\n")
    dirty = take(repo)
    assert snapshot.known(f"{repo.path}/.git", (), [dirty.commit]) == set()
    assert snapshot.known(f"{repo.path}/.git", dirty.objects, [dirty.commit]) == {dirty.commit}
    repo.git("config", "uploadpack.allowFilter", "true")
    clone = Clone(repo, str(tmp_path / "clone"), "--filter=blob:none", "--no-checkout")
    blob = repo.git("rev-parse", "HEAD:hello.py")
    before = sorted(os.listdir(f"{clone.path}/.git/objects/pack"))
    assert snapshot.known(f"{clone.path}/.git", (), [taken.commit, blob]) == {taken.commit}
    assert sorted(os.listdir(f"{clone.path}/.git/objects/pack")) == before


def test_files_of_a_snapshot(repo: Repo) -> None:
    repo.write("pyproject.toml", "[project]\n")
    os.symlink("../pyproject.toml", f"{repo.path}/lib/link.toml")
    os.symlink("/etc/passwd", f"{repo.path}/outside")
    os.symlink("nowhere", f"{repo.path}/dangling")
    paths = (
        "pyproject.toml",
        "lib/link.toml",
        "outside",
        "dangling",
        "lib",
        "absent.toml",
        "a b",
        "hello.py",
    )
    assert take(repo, files=paths).files == {
        "pyproject.toml": b"[project]\n",
        "lib/link.toml": b"[project]\n",
        "hello.py": b"print('hello')\n",
    }
    of_demo = take(repo, "demo", files=("hello.py", "pyproject.toml")).files
    assert of_demo == {"hello.py": b"print('hello from demo')\n"}
    with pytest.raises(DobbyError, match="newline"):
        take(repo, files=("a\nb",))


def test_few_processes(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, cache = Counted(tmp_path, monkeypatch), str(tmp_path / "cache")
    for folder in (".git", ".git/refs/tags"):
        os.utime(f"{repo.path}/{folder}", (1, 1))

    def whole_run(revision: str) -> int:
        counted.since()
        checkout = snapshots.checkout(repo)
        files = ("pyproject.toml", "dobby.toml")
        taken = snapshot.take(checkout, revision, untracked_limit_bytes=snapshots.LIMIT, files=files)
        snapshot.root_commits(checkout, taken, cache)
        snapshot.tags(checkout, taken, cache)
        return len(counted.since())

    assert whole_run("main") == 5
    assert whole_run("main") == 3
    assert whole_run(".") == 5
    repo.write("hello.py", "print('changed')\n")
    assert whole_run(".") == 7
    assert whole_run(".") == 6  # there was no store of our own before


class TestRoots:
    """The ids of root commits, kept between calls and still right."""

    def roots(self, repo: Repo, tmp_path: Path, revision: str = ".") -> tuple[str, ...]:
        checkout = snapshots.checkout(repo)
        return snapshot.root_commits(checkout, take(repo, revision), str(tmp_path / "cache"))

    def expected(self, repo: Repo, revision: str = "HEAD") -> tuple[str, ...]:
        return tuple(sorted(repo.git("rev-list", "--max-parents=0", revision).split()))

    def orphan(self, repo: Repo, name: str) -> str:
        repo.git("checkout", "-q", "--orphan", name)
        return repo.commit(f"root of {name}", {f"{name}.txt": name})

    def test_alike_for_every_order_of_asking(self, repo: Repo, tmp_path: Path) -> None:
        self.orphan(repo, "other")
        repo.commit("more", {"more.txt": "more"})
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--allow-unrelated-histories", "-m", "joined", "other")
        joined = repo.head
        repo.commit("after", {"after.txt": "after"})
        revisions = ["main~1", "main", "demo", "other", "other~1", joined, "main~2", "main", "v1"]
        for revision in [*revisions, *reversed(revisions)]:
            assert self.roots(repo, tmp_path, revision) == self.expected(repo, revision), revision
        assert len(self.roots(repo, tmp_path, "main")) == 2

    def test_those_of_its_parents_are_known_without_a_process(
        self, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = repo.head
        self.orphan(repo, "docs")
        for revision in ("docs", first):
            self.roots(repo, tmp_path, revision)
        repo.git("merge", "-q", "--allow-unrelated-histories", "-m", "both", first)
        expected, counted = self.expected(repo), Counted(tmp_path, monkeypatch)
        assert len(expected) == 2
        assert self.roots(repo, tmp_path, "docs") == expected
        assert not any("rev-list" in call for call in counted.since())

    def test_a_further_root_is_noticed(self, repo: Repo, tmp_path: Path) -> None:
        assert self.roots(repo, tmp_path) == self.expected(repo)
        self.orphan(repo, "other")
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--allow-unrelated-histories", "-m", "joined", "other")
        assert self.roots(repo, tmp_path) == self.expected(repo)
        assert len(self.expected(repo)) == 2

    def test_a_working_tree_has_those_of_head(self, repo: Repo, tmp_path: Path) -> None:
        repo.write("hello.py", "print('changed')\n")
        assert self.roots(repo, tmp_path) == self.expected(repo)

    def test_a_remembered_commit_that_is_no_more(self, repo: Repo, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        self.roots(repo, tmp_path)
        (file,) = (tmp_path / "cache").iterdir()
        file.write_text(f"{'1' * 40}\t{'2' * 40}\ncut off")
        assert self.roots(repo, tmp_path) == self.expected(repo)


class TestTags:
    """All tags that the snapshot descends from, so that `git describe` answers alike."""

    def tags(self, repo: Repo, tmp_path: Path, revision: str = ".") -> dict[str, str]:
        checkout = snapshots.checkout(repo)
        return dict(snapshot.tags(checkout, take(repo, revision), str(tmp_path / "cache")))

    def settle(self, repo: Repo) -> None:
        """Times of long ago: what has just changed is not kept."""
        for folder, names, files in os.walk(f"{repo.path}/.git"):
            for name in [*names, *(f for f in files if f == "packed-refs")]:
                path = os.path.join(folder, name)
                os.utime(path, (os.stat(path).st_mtime - 100,) * 2)

    def test_reachable_ones_of_both_kinds(self, repo: Repo, tmp_path: Path) -> None:
        repo.git("tag", "light/é", "main")
        repo.git("tag", "ahead", "demo")
        expected = {name: repo.git("rev-parse", f"refs/tags/{name}") for name in ("v1", "light/é")}
        assert self.tags(repo, tmp_path) == self.tags(repo, tmp_path) == expected
        assert self.tags(repo, tmp_path, "v1") == {"v1": expected["v1"]}
        repo.write("hello.py", "print('changed')\n")
        assert self.tags(repo, tmp_path) == expected
        assert self.tags(repo, tmp_path, "main~2") == {}

    @pytest.mark.parametrize("change", ["new", "nested", "moved", "deleted", "packed"])
    def test_a_change_is_noticed(self, repo: Repo, tmp_path: Path, change: str) -> None:
        repo.git("tag", "group/old", "main~1")
        if change == "packed":
            repo.git("pack-refs", "--all")
        self.settle(repo)
        assert set(self.tags(repo, tmp_path)) == {"v1", "group/old"}
        assert any(name.startswith("tags-") for name in os.listdir(tmp_path / "cache"))
        if change == "moved":
            repo.git("tag", "-f", "group/old", "main")
            self.settle(repo)
            assert self.tags(repo, tmp_path)["group/old"] == repo.head
            return
        words = {
            "new": ("tag", "more"),
            "nested": ("tag", "group/more"),
            "deleted": ("tag", "-d", "group/old"),
        }
        repo.git(*words.get(change, ("tag", "-d", "group/old")))
        self.settle(repo)
        more = {"new": {"more"}, "nested": {"group/more"}}.get(change, set())
        expected = {"v1"} | ({"group/old"} if more else set()) | more
        assert set(self.tags(repo, tmp_path)) == expected

    def test_what_has_just_changed_is_not_kept(self, repo: Repo, tmp_path: Path) -> None:
        self.tags(repo, tmp_path)
        assert not (tmp_path / "cache").exists()


def test_likely_bases(repo: Repo, tmp_path: Path) -> None:
    for number in range(60):
        repo.commit(str(number))
    repo.git("update-ref", "refs/remotes/origin/demo", "demo")
    line = repo.git("rev-list", "main").split()
    found = snapshot.recent(f"{repo.path}/.git", (), repo.head)
    assert found[:8] == line[:8]
    assert repo.git("rev-parse", "demo") in found
    assert line.index(found[24]) > 28
    assert len(found) == len(set(found)) < len(line)
    assert len(snapshot.recent(f"{repo.path}/.git", (), repo.head, 10)) == 10
    repo.write("new.txt", "new\n")
    taken = take(repo)
    assert snapshot.recent(f"{repo.path}/.git", taken.objects, taken.commit)[:2] == [
        taken.commit,
        repo.head,
    ]
