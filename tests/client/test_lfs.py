"""Files under Git LFS arrive with their contents: only what is missing, and git knows them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client import lfs_repo
from tests.client.drive import finished
from tests.client.lfs_repo import content
from tests.client.snapshots import contents, take

from dobby import Client
from dobby.client.contents import Contents
from dobby.core.errors import DobbyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo

# What a job sees of a repository: each file's hash, and whether git finds it clean, as it does on a
# host that has no git-lfs.
LOOK = (
    'export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null; sha256sum "$@" | cut -c1-64; '
    "git status --porcelain; "
)


def look(*names: str) -> str:
    return f"set -- {' '.join(names)}; {LOOK}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return lfs_repo.make(tmp_path / "project")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The contents that hosts asked for, a list a question."""
    asked: list[list[str]] = []
    answer = Contents.answer

    def noted(self: Contents, repository: str, wanted: list[tuple[str, int]]) -> Iterator[bytes]:
        asked.append([id for id, _ in wanted])
        return answer(self, repository, wanted)

    monkeypatch.setattr(Contents, "answer", noted)
    return asked


def test_files_arrive_with_their_contents_once(repo: Repo, host: Host, asked: list[list[str]]) -> None:
    client = Client(cwd=repo.path)
    command = look("data/a.bin", "b.bin") + "test -x b.bin && ! test -x data/a.bin && echo modes"
    expected = f"{digest(content(1))}\n{digest(content(2))}\nmodes\n".encode()
    row, said = finished(client, host, command)
    assert (row["status"], said) == ("succeeded", expected)
    assert sorted(asked[0]) == sorted([digest(content(1)), digest(content(2))])
    assert finished(client, host, command)[1] == expected
    assert finished(client, host, command, label="other")[1] == expected
    assert len(asked) == 1, "all is there: nothing is asked"
    repo.commit("one is changed", {"data/a.bin": content(3)})
    assert finished(client, host, look("data/a.bin", "b.bin"))[1].split()[0].decode() == digest(content(3))
    assert asked[1:] == [[digest(content(3))]]


def test_a_job_writes_in_place_and_only_its_own_file_changes(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "printf x | dd of=b.bin conv=notrunc status=none; touch data/a.bin")
    row, said = finished(client, host, look("data/a.bin", "b.bin"))
    assert said.decode().split() == [digest(content(1)), digest(content(2))]
    (run,) = [r for r in client.ps(all=True, host=host.name).runs if r["run_id"] != row["run_id"]]
    left = f"{host.home}/projects/project/jobs/main/runs/{run['run_id']}/left"
    listed = host.run(["find", left, "-type", "f", "-printf", "%P\\n"]).decode().split()
    assert listed == ["b.bin"], "what was only touched is not left"


def test_whatever_a_job_did_to_git_contents_are_back(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    wreck = (
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null; "
        "git update-index --index-version 4; rm b.bin; git checkout -q -- b.bin; "
        "git rm -q --cached data/a.bin; wc -c < b.bin"
    )
    assert int(finished(client, host, wreck)[1]) < 200, "a pointer: there is no filter on the host"
    said = finished(client, host, look("data/a.bin", "b.bin"))[1]
    assert said.decode().split() == [digest(content(1)), digest(content(2))]


def test_the_working_tree_is_as_git_lfs_would_add_it(repo: Repo, host: Host) -> None:
    repo.write("data/a.bin", content(4))
    repo.write("new.bin", content(5), 0o755)
    repo.write("empty.bin", b"")
    repo.write("plain.txt", "no pointer\n")
    before = lfs_repo.stored(repo)
    taken = take(repo)
    assert lfs_repo.stored(repo) == before, "nothing goes into the user's own store"
    said = finished(Client(cwd=repo.path), host, look("data/a.bin", "new.bin", "b.bin"), revision=".")[1]
    assert said.decode().split() == [digest(content(4)), digest(content(5)), digest(content(2))]
    repo.git("add", "-A")
    assert taken.tree == repo.git("write-tree")


def test_without_git_lfs_on_the_laptop_pointers_are_the_same(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("new.bin", content(5))
    whole = take(repo)
    repo.git("config", "--global", "--remove-section", "filter.lfs")
    bare = take(repo)
    assert (bare.tree, bare.lfs) == (whole.tree, ("",))
    assert contents(repo, bare)["new.bin"].startswith(b"version https://git-lfs.github.com/spec/v1\noid ")


def test_what_the_laptop_lacks_it_fetches(repo: Repo, host: Host, tmp_path: Path) -> None:
    """From a remote that is a directory: git-lfs serves it by its own standalone transfer."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    repo.git("remote", "add", "origin", f"file://{remote}")
    repo.git("push", "-q", "origin", "main")
    repo.git("lfs", "push", "--all", "origin")
    repo.git("config", "lfs.fetchexclude", "data")
    shutil.rmtree(f"{repo.path}/.git/lfs/objects")
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    output = finished(client, host, look("data/a.bin", "b.bin"))[1]
    assert output.decode().split() == [digest(content(1)), digest(content(2))]
    assert [s for s in said if s.startswith("fetching 2 files under Git LFS from origin, 0.0 MB")]


def test_what_cannot_be_fetched_is_one_sentence(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(f"{repo.path}/.git/lfs/objects")
    client = Client(cwd=repo.path)
    with pytest.raises(DobbyError, match=r"2 files under Git LFS, such as .*no remote to fetch them from"):
        client.run("main", "true", host="local")
    repo.git("remote", "add", "origin", f"file://{tmp_path}/nowhere")
    with pytest.raises(DobbyError, match=r"could not be fetched here: .*; nothing was started"):
        client.run("main", "true", host="local")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DobbyError, match="git-lfs, which fetches them, is not installed") as refused:
        client.run("main", "true", host="local")
    assert "git-lfs.com" in refused.value.hint
    assert client.ps(all=True, host="local").runs == []


def test_lfs_in_a_submodule(repo: Repo, make_repo, host: Host) -> None:  # type: ignore[no-untyped-def]
    outer = make_repo("outer")
    outer.git("submodule", "--quiet", "add", repo.path, "libs/inner")
    outer.commit("with a submodule")
    client = Client(cwd=outer.path)
    command = look("libs/inner/b.bin") + "git -C libs/inner status --porcelain"
    assert finished(client, host, command)[1].decode().split() == [digest(content(2))]
    assert finished(client, host, command)[1].decode().split() == [digest(content(2))]


def test_clean_removes_what_no_job_needs(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "true")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("another", {"b.bin": content(7)})
    finished(client, host, "true", revision="side")
    store = f"{host.home}/projects/project/blobs"

    def kept() -> set[str]:
        return {name for _, _, names in os.walk(f"{store}/objects") for name in names}

    assert kept() == {digest(content(n)) for n in (1, 2, 7)}
    client.clean(["main"], host=host.name)
    assert kept() == {digest(content(n)) for n in (1, 7)}
    client.clean(["side"], host=host.name)
    assert kept() == set()
    assert finished(client, host, look("b.bin"))[1].decode().split() == [digest(content(2))]


def test_git_lfs_on_the_host_finds_contents_by_itself(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    command = "git lfs install --local --skip-repo >/dev/null; rm b.bin; git checkout -q -- b.bin; "
    said = finished(client, host, command + "sha256sum b.bin | cut -c1-64")[1]
    assert said.decode().split() == [digest(content(2))]


def test_a_submodule_with_changes_in_no_commit(repo: Repo, make_repo, host: Host) -> None:  # type: ignore[no-untyped-def]
    outer = make_repo("outer")
    outer.git("submodule", "--quiet", "add", repo.path, "libs/inner")
    outer.commit("with a submodule")
    outer.write("libs/inner/b.bin", content(9))
    outer.write("libs/inner/new.bin", content(10))
    command = look(*(f"libs/inner/{name}" for name in ("b.bin", "new.bin", "data/a.bin")))
    said = finished(Client(cwd=outer.path), host, command, revision=".")[1]
    assert said.decode().split() == [digest(content(n)) for n in (9, 10, 1)]
