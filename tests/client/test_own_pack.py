"""A pack of a working tree that dobby writes itself, because it has made all that is new in it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished
from tests.counted import Counted

from dobby import Client
from dobby.snapshot import loose

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Host
    from tests.gitrepo import Repo

# Around the sizes at which an entry's head has a byte more, and one that git would deflate in parts.
SIZES = (0, 1, 14, 15, 16, 2046, 2047, 2048, 2049, 40_000)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(tmp_path, monkeypatch)


def has_packed(counted: Counted) -> bool:
    """Whether git has, since this was asked last."""
    return any("pack-objects" in call for call in counted.since())


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_git_finds_all_of_it_as_it_should_be(
    make_repo: Callable[..., Repo], host: Host, counted: Counted, object_format: str
) -> None:
    repo = make_repo("project", object_format)
    client = Client(cwd=repo.path)
    finished(client, host, "true")
    assert has_packed(counted)
    look = "git fsck --full && git status --porcelain && wc -c dir/*/file"
    for number, size in enumerate(SIZES):
        repo.write(f"dir/sub{number}/file", random.Random(number).randbytes(size))
        repo.write("hello.py", f"print({number})\n")
        status, log = finished(client, host, look, revision=".")
        assert status["status"] == "succeeded"
        assert f"{size} dir/sub{number}/file".encode() in log
        assert not has_packed(counted)
    for large in (random.Random(0).randbytes(200_000), bytes(20_000_000)):
        repo.write("large", large)
        finished(client, host, "true", revision=".")
        assert has_packed(counted)


def test_git_packs_what_the_users_repository_has_already(repo: Repo, host: Host, counted: Counted) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "true")
    repo.write("hello.py", "print('staged')\n")
    repo.git("add", "hello.py")
    counted.since()
    assert finished(client, host, "python3 hello.py", revision=".")[1] == b"staged\n"
    assert has_packed(counted)


def test_git_packs_upon_a_commit_of_another_base(repo: Repo, host: Host, counted: Counted) -> None:
    client = Client(cwd=repo.path)
    repo.write("hello.py", "print('first')\n")
    finished(client, host, "true", revision=".")
    repo.commit("another base", {"other.py": "print('other')\n"})
    repo.write("hello.py", "print('second')\n")
    counted.since()
    assert (
        finished(client, host, "python3 hello.py && python3 other.py", revision=".")[1]
        == b"second\nother\n"
    )
    assert has_packed(counted)


def test_the_base_of_a_commit_that_came_without_it_is_not_there(
    make_repo: Callable[..., Repo], host: Host, tmp_path: Path
) -> None:
    """A clone that was shallow when its working tree was sent, and is whole now."""
    origin, clone = make_repo("project"), tmp_path / "clone"
    origin.commit("another", {"other.py": "print('committed')\n"})
    words = ("--depth=1", "--no-tags", f"file://{origin.path}", str(clone))
    subprocess.run(["git", "clone", "-q", *words], check=True)
    committed = (clone / "hello.py").read_bytes()
    (clone / "hello.py").write_text("print('changed')\n")
    finished(Client(cwd=str(clone)), host, "true", revision=".")
    subprocess.run(["git", "-C", str(clone), "fetch", "-q", "--unshallow", "--no-tags"], check=True)
    (clone / "hello.py").write_bytes(committed)
    (clone / "other.py").write_text("print('changed')\n")
    look = "git fsck --full --connectivity-only >/dev/null && git rev-list --count HEAD && python3 other.py"
    status, log = finished(Client(cwd=str(clone)), host, look, revision=".")
    assert (status["status"], log.split()[1:]) == ("succeeded", [b"changed"])


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_an_object_that_a_power_cut_has_left_damaged_is_packed_by_nobody(tmp_path: Path, cut: int) -> None:
    store = str(tmp_path)
    id = loose.write(store, "sha1", "blob", b"words of a file\n" * 4)
    assert loose.pack(store, "sha1", [id], 1000).startswith(b"PACK")
    file = Path(store, id[:2], id[2:])
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:cut])
    assert loose.pack(store, "sha1", [id], 1000) == b""
