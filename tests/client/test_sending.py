"""Commits travel from the laptop: only what is missing, by no `git push`, to the right project."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch
from tests.gitrepo import Repo

import dobby
from dobby import Client
from dobby.client.objects import Sender
from dobby.snapshot import Ahead, ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Host


class Sent:
    """What Sender sent: one entry a question that it was asked, in bytes of pack; -1 a check. `ahead` is
    what went along with calls, unasked."""

    def __init__(self) -> None:
        self.packs: list[int] = []
        self.ahead: list[int] = []


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()
    answer = Sender.answer

    def counted(self: Sender, payload: bytes) -> Iterator[bytes]:
        before = self.sent_bytes
        yield from answer(self, payload)
        sent.packs.append(self.sent_bytes - before or -1)

    pack = Ahead.pack

    def noted(self: Ahead) -> bytes:
        data = pack(self)
        sent.ahead += [len(data)] if data else []
        return data

    monkeypatch.setattr(Sender, "answer", counted)
    monkeypatch.setattr(Ahead, "pack", noted)
    monkeypatch.setattr(ahead, "_PATIENCE_S", 10.0)
    return sent


def noise(number: int) -> bytes:
    """Bytes that no compression makes small."""
    return b"".join(hashlib.sha256(b"%d %d" % (number, n)).digest() for n in range(1500))


@pytest.fixture
def long(make_repo: Callable[..., Repo]) -> Repo:
    """A history of 12 commits with 48 kB each."""
    repo = make_repo("long")
    for number in range(12):
        repo.commit(f"{number}", {f"data/{number}": noise(number)})
    return repo


def test_only_what_is_missing_is_sent(long: Repo, host: Host, sent: Sent) -> None:
    client = Client(cwd=long.path)
    finished(client, host, "true")
    assert len(sent.packs) == 1
    assert sent.packs[0] > 500_000
    finished(client, host, "true", label="other")
    finished(client, host, "true")
    assert len(sent.packs) == 1, "the commit was there: nothing is asked"
    long.commit("a line", {"hello.py": "print('one more')\n"})
    finished(client, host, "true")
    long.write("hello.py", "print('and not committed')\n")
    finished(client, host, "true", revision=".")
    finished(client, host, "true")
    assert len(sent.packs) == 1
    assert [0 < size < 900 for size in sent.ahead] == [True, True]


def test_what_goes_along_unasked_is_asked_for_where_its_base_is_gone(
    long: Repo, host: Host, sent: Sent
) -> None:
    """The host's account was emptied, or the name means another machine now."""
    client = Client(cwd=long.path)
    finished(client, host, "true")
    host.run(["rm", "-rf", f"{host.home}/projects"])
    long.commit("a line", {"hello.py": "print('one more')\n"})
    status, _ = finished(client, host, "git fsck --connectivity-only && git log --oneline | wc -l")
    assert status["status"] == "succeeded"
    assert len(sent.ahead) == 1
    assert sent.packs[1] > 500_000


def test_what_is_large_is_not_sent_unasked(long: Repo, host: Host, sent: Sent) -> None:
    """Somebody else may have brought it already."""
    client = Client(cwd=long.path)
    finished(client, host, "true")
    for number in range(12, 16):
        long.commit(f"{number}", {f"data/{number}": noise(number)})
    finished(client, host, "true")
    assert sent.ahead == []
    assert 150_000 < sent.packs[1] < 250_000


def test_a_base_that_is_gone_from_the_laptop(long: Repo, host: Host, sent: Sent) -> None:
    client = Client(cwd=long.path)
    long.write("hello.py", "print('and not committed')\n")
    finished(client, host, "true", revision=".")
    shutil.rmtree(f"{os.environ['HOME']}/.cache/dobby/objects")
    long.commit("it is", {"hello.py": "print('and committed')\n"})
    finished(client, host, "true")
    assert sent.ahead == []
    assert 0 < sent.packs[1] < 900 or sent.packs[1] == -1


def test_commits_of_others_in_the_cache_are_built_upon(
    long: Repo, host: Host, sent: Sent, tmp_path: Path
) -> None:
    """The host has another laptop's commits, unknown here, on top of all that is."""
    theirs = str(tmp_path / "theirs" / "long")
    subprocess.run(["git", "clone", "-q", long.path, theirs], check=True)
    other = Repo.__new__(Repo)
    other.path, other._commits = theirs, 50
    other.commit("theirs", {"theirs": noise(99)})
    finished(Client(cwd=theirs), host, "true", revision="main", label="theirs")
    whole = sent.packs.pop()
    assert whole > 500_000
    long.commit("mine", {"mine": "mine\n"})
    finished(Client(cwd=long.path), host, "true", label="mine")
    check, pack = sent.packs
    assert check == -1
    assert 0 < pack < 1_000


def test_an_old_base_is_not_taken_where_a_nearer_is_to_be_had(
    long: Repo, host: Host, sent: Sent, tmp_path: Path
) -> None:
    """We know one old commit of the host's; through another user it has nearly all."""
    first = long.git("rev-list", "--max-parents=0", "main")
    client = Client(cwd=long.path)
    finished(client, host, "true", revision=first, label="old")
    for number in range(12, 32):
        long.commit(f"{number}", {f"data/{number}": noise(number)})
    theirs = str(tmp_path / "theirs" / "long")
    subprocess.run(["git", "clone", "-q", long.path, theirs], check=True)
    other = Repo.__new__(Repo)
    other.path, other._commits = theirs, 50
    other.commit("theirs", {"theirs": "theirs\n"})
    finished(Client(cwd=theirs), host, "true", label="theirs")
    sent.packs.clear()
    long.commit("mine", {"mine": "mine\n"})
    finished(client, host, "true", label="mine")
    assert sent.packs[0] == -1
    assert 0 < sent.packs[1] < 1_000


# --- the user's push settings --------------------------------------------------------------------


def all_of(path: str) -> dict[str, bytes]:
    """Every file below `path` with its bytes."""
    found = {}
    for base, _, names in os.walk(path):
        for name in names:
            with open(f"{base}/{name}", "rb") as file:
                found[f"{base}/{name}"] = file.read()
    return found


def test_none_of_the_users_push_settings_applies(
    make_repo: Callable[..., Repo], host: Host, tmp_path: Path
) -> None:
    """Nothing is published, sent elsewhere, signed, or given to a hook; submodules neither."""
    sub_origin, origin, elsewhere = (str(tmp_path / n) for n in ("sub.git", "top.git", "elsewhere.git"))
    sub = make_repo("sub")
    for bare, source in ((sub_origin, sub.path), (origin, ""), (elsewhere, "")):
        words = ["clone", "-q", "--bare", source, bare] if source else ["init", "-q", "--bare", bare]
        subprocess.run(["git", *words], check=True)
    top = make_repo("top")
    top.git("remote", "add", "origin", origin)
    top.git("submodule", "-q", "add", sub_origin, "libs/sub")
    top.commit("with a submodule")
    top.git("push", "-q", "origin", "main")
    top.git("fetch", "-q", "origin")
    in_sub = Repo.__new__(Repo)
    in_sub.path, in_sub._commits = f"{top.path}/libs/sub", 60
    in_sub.git("checkout", "-q", "-b", "work")
    unpublished = in_sub.commit("unpublished", {"only-here": "the submodule's own\n"})
    top.commit("points to what is unpublished")
    top.git("tag", "-a", "v9", "-m", "nine")
    marks = tmp_path / "hook-ran"
    for repo in (top.path, f"{top.path}/libs/sub"):
        hooks = subprocess.run(
            ["git", "-C", repo, "rev-parse", "--git-path", "hooks"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hook in ("pre-push", "reference-transaction", "post-index-change", "pre-commit"):
            path = os.path.join(repo, hooks, hook)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\necho {hook} >> {marks}\n")
            os.chmod(path, 0o755)
    for setting in (
        "push.recurseSubmodules=on-demand",
        f"url.{elsewhere}.pushInsteadOf={origin}",
        "commit.gpgSign=true",
        "tag.gpgSign=true",
        "push.gpgSign=true",
        "gpg.program=/bin/false",
        "push.followTags=true",
        "push.default=matching",
        f"remote.pushDefault={elsewhere}",
    ):
        top.git("config", *setting.split("=", 1))
    marks.unlink(missing_ok=True)
    before = {path: all_of(path) for path in (sub_origin, origin, elsewhere)}
    top.write("untracked", "as it stands\n")
    client = Client(cwd=top.path)
    command = "cat libs/sub/only-here untracked; git -C libs/sub rev-parse HEAD; git describe"
    row, said = finished(client, host, command, revision=".")
    assert row["status"] == "succeeded"
    lines = said.decode().split("\n")
    assert lines[:3] == ["the submodule's own", "as it stands", unpublished]
    assert lines[3].startswith("v9-1-g")
    assert {path: all_of(path) for path in before} == before
    assert not marks.exists()


# --- which project it is -------------------------------------------------------------------------


def test_two_repositories_of_one_name_are_kept_apart(
    make_repo: Callable[..., Repo], host: Host, tmp_path: Path
) -> None:
    ours = make_repo("same")
    finished(Client(cwd=ours.path), host, "true")
    other = Repo(str(tmp_path / "other" / "same"))
    other.commit("another beginning", {"file": "x"})
    client = Client(cwd=other.path)
    with pytest.raises(dobby.DobbyError, match="project same on this host is another repository") as failed:
        launch(client, host, "true")
    assert "--force" in failed.value.hint
    assert finished(client, host, "cat file", force=True)[1] == b"x"
    assert finished(client, host, "cat file")[1] == b"x", "its root is known from now on"


def test_a_branch_with_roots_of_its_own_is_the_same_project(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    repo.git("remote", "add", "origin", "https://example.invalid/team/project.git")
    finished(client, host, "true")
    repo.git("checkout", "-q", "--orphan", "pages")
    repo.commit("pages", {"index.html": "hi"})
    assert finished(client, host, "cat index.html", revision="pages")[1] == b"hi"


def test_a_shallow_clone_is_admitted_by_its_origin(repo: Repo, host: Host, tmp_path: Path) -> None:
    bare = str(tmp_path / "bare" / "project.git")
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, bare], check=True)
    clones = {}
    for name, words in (("whole", []), ("shallow", ["--depth=1"])):
        clones[name] = str(tmp_path / name / "project")
        subprocess.run(["git", "clone", "-q", *words, f"file://{bare}", clones[name]], check=True)
    finished(Client(cwd=clones["whole"]), host, "true")
    said: list[str] = []
    row, _ = finished(Client(cwd=clones["shallow"], say=said.append), host, "cat hello.py", label="s")
    assert row["status"] == "succeeded"
    assert any("this is a shallow clone" in sentence for sentence in said)
    subprocess.run(
        ["git", "-C", clones["shallow"], "remote", "set-url", "origin", "https://other.invalid/project"],
        check=True,
    )
    with pytest.raises(dobby.DobbyError, match="is another repository"):
        launch(Client(cwd=clones["shallow"]), host, "true", label="t")
    assert (
        finished(Client(cwd=clones["shallow"]), host, "true", label="t", force=True)[0]["status"]
        == "succeeded"
    )


def test_a_damaged_identity_is_named(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "true")
    path = f"{host.home}/projects/project/identity.json"
    host.run(["truncate", "-s", "0", path])
    with pytest.raises(dobby.DobbyError, match=f"unreadable: {path}"):
        launch(client, host, "true")
    host.run(["rm", path])
    assert finished(client, host, "true")[0]["status"] == "succeeded"


def test_a_revision_that_only_origin_has_is_fetched_by_the_laptop(
    repo: Repo, host: Host, tmp_path: Path
) -> None:
    bare = str(tmp_path / "bare" / "project.git")
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, bare], check=True)
    repo.git("remote", "add", "origin", bare)
    subprocess.run(
        ["git", "-C", bare, "update-ref", "refs/heads/elsewhere", repo.git("rev-parse", "demo")], check=True
    )
    repo.git("branch", "-D", "demo")
    said: list[str] = []
    row, text = finished(
        Client(cwd=repo.path, say=said.append), host, "python3 hello.py", revision="elsewhere"
    )
    assert (row["status"], text) == ("succeeded", b"hello from demo\n")
    assert "elsewhere is not here, asking origin" in said


def test_what_is_not_there_and_cannot_be_sent_is_said(repo: Repo, host: Host, tmp_path: Path) -> None:
    """`restart --same` outside of any checkout, after the cache was removed: no endless wait."""
    finished(Client(cwd=repo.path), host, "true")
    host.run(["rm", "-rf", f"{host.home}/projects/project/cache.git"])
    outside = Client(cwd=str(tmp_path))
    with pytest.raises(dobby.DobbyError, match=r"does not have .* any more, and there is no checkout"):
        outside.restart("main", host=host.name, same=True)
    finished(Client(cwd=repo.path), host, "true")
    again = outside.restart("main", host=host.name, same=True)
    assert outside.wait("main", host=host.name, run=again.run_id)["status"] == "succeeded"
