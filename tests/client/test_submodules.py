"""Submodules over a whole run: sent from the laptop, or fetched by the host; each at its commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished
from tests.client.hook import configure
from tests.gitrepo import Repo

from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Host

STATUS = "git submodule status --recursive; git status --porcelain"
ALLOWED = ("-c", "protocol.file.allow=always", "submodule", "-q")


class Family:
    """`outer` holds `libs/inner`, which holds `deep`; all side by side, with relative URLs."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.deep = Repo(str(base / "deep"))
        self.deep.commit("deep", {"c.txt": "c\n"})
        self.inner = Repo(str(base / "inner"))
        self.inner.commit("inner", {"b.txt": "b1\n", "same.txt": "same\n" * 500})
        self.inner.commit("inner, further", {"b.txt": "b2\n"})
        self.inner.git(*ALLOWED, "add", "../deep", "deep")
        self.inner.git("commit", "-q", "-m", "with deep")
        self.outer = Repo(str(base / "outer"))
        self.outer.git(*ALLOWED, "add", "../inner", "libs/inner")
        self.outer.commit("with inner", {"a.txt": "a\n"})
        self.here = Repo.__new__(Repo)
        self.here.path, self.here._commits = f"{self.outer.path}/libs/inner", 5

    def initialise(self) -> None:
        self.outer.git(*ALLOWED, "update", "--init", "--recursive")

    def forget(self) -> None:
        """As after a plain clone, without --recurse-submodules."""
        self.outer.git("submodule", "deinit", "-q", "-f", "--all")
        shutil.rmtree(f"{self.outer.path}/.git/modules")


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path / "laptop")


@pytest.fixture
def remotes(family: Family, host: Host) -> Iterator[str]:
    """Copies of all that the account on the host may read; the URL of their directory."""
    base = f"{host.sshd.home if host.sshd else os.environ['HOME']}/remotes"
    shutil.copytree(family.base, base, symlinks=True)
    if host.sshd and os.getuid() == 0:
        subprocess.run(["chown", "-R", host.sshd.user, base], check=True)
    yield f"file://{base}"
    shutil.rmtree(base)


def statuses(text: bytes) -> list[tuple[str, str]]:
    """(path, commit) of each submodule, all of which stand where they should."""
    lines = text.decode().splitlines()
    assert all(line.startswith(" ") for line in lines), lines
    return [(line.split()[1], line.split()[0]) for line in lines]


def test_changes_travel_from_the_laptop_alone(family: Family, host: Host) -> None:
    family.initialise()
    family.here.commit("here alone", {"b.txt": "b3\n"})
    family.here.write("new.txt", "untracked\n")
    family.here.write("deep/c.txt", "modified\n")
    said: list[str] = []
    client = Client(cwd=family.outer.path, say=said.append)
    show = "cat libs/inner/b.txt libs/inner/new.txt libs/inner/deep/c.txt"
    row, text = finished(client, host, f"{STATUS} >&2; {show}", revision=".", label="x")
    assert row["status"] == "succeeded", text
    assert text.endswith(b"b3\nuntracked\nmodified\n")
    assert [path for path, _ in statuses(text[: -len(b"b3\nuntracked\nmodified\n")])] == [
        "libs/inner",
        "libs/inner/deep",
    ]
    assert any("libs/inner travels with its uncommitted changes" in line for line in said)
    row, text = finished(client, host, f"{STATUS}; cat libs/inner/b.txt", label="x")
    assert text.endswith(b"b2\n")
    assert dict(statuses(text[:-3]))["libs/inner"] == family.inner.head


def test_the_host_fetches_what_the_laptop_does_not_have(family: Family, host: Host, remotes: str) -> None:
    family.outer.git("remote", "add", "origin", f"{remotes}/outer")
    family.forget()
    said: list[str] = []
    client = Client(cwd=family.outer.path, say=said.append)
    row, text = finished(client, host, STATUS)
    assert row["status"] == "succeeded", text
    assert dict(statuses(text)) == {
        "libs/inner": family.inner.head,
        "libs/inner/deep": family.deep.head,
    }
    assert any(f"the host fetches the submodule libs/inner from {remotes}/inner" in s for s in said)


def test_by_url(family: Family, host: Host, remotes: str, tmp_path: Path) -> None:
    row, text = finished(Client(cwd=str(tmp_path)), host, STATUS, repo=f"{remotes}/outer")
    assert row["status"] == "succeeded", text
    assert [path for path, _ in statuses(text)] == ["libs/inner", "libs/inner/deep"]


def test_an_scp_like_url_and_one_that_changes(family: Family, host: Host, remotes: str) -> None:
    """A stand-in for ssh runs on this machine what git asks it to: any host's name leads here."""
    base = remotes.removeprefix("file://")
    script = 'for last; do :; done; exec sh -c "$last"'
    host.run(["sh", "-c", 'echo "$1" > "$2"', "sh", script, f"{base}/ssh"])
    configure(host, f'[variables]\nGIT_SSH_COMMAND = "sh {base}/ssh"\n')
    family.outer.git("remote", "add", "origin", f"git@far.example:{base}/outer")
    family.forget()
    client = Client(cwd=family.outer.path)
    look = f"{STATUS}; git -C libs/inner remote get-url origin >&2"
    row, text = finished(client, host, look)
    assert row["status"] == "succeeded", row["cause"]
    assert text.endswith(f"git@far.example:{base}/inner\n".encode())
    family.inner.commit("moved", {"b.txt": "b3\n"})
    family.outer.git("config", "-f", ".gitmodules", "submodule.libs/inner.url", "../moved")
    family.outer.git("update-index", "--cacheinfo", f"160000,{family.inner.head},libs/inner")
    family.outer.git("commit", "-qam", "it has moved")
    shutil.copytree(family.inner.path, f"{base}/moved", symlinks=True)
    shutil.rmtree(f"{base}/inner")
    if host.sshd and os.getuid() == 0:
        subprocess.run(["chown", "-R", host.sshd.user, f"{base}/moved"], check=True)
    row, text = finished(client, host, look)
    assert row["status"] == "succeeded", row["cause"]
    *lines, url = text.decode().splitlines(keepends=True)
    assert dict(statuses("".join(lines).encode()))["libs/inner"] == family.inner.head
    assert url == f"git@far.example:{base}/moved\n"


def test_one_that_nobody_has_fails_the_run_by_name(family: Family, host: Host) -> None:
    family.outer.git("remote", "add", "origin", "file:///nowhere/outer")
    family.forget()
    client = Client(cwd=family.outer.path)
    row, _ = finished(client, host, "true", label="x")
    assert row["status"] == "failed"
    tail = row["cause"]["tail"]
    assert "the submodule libs/inner could not be fetched from file:///nowhere/inner: " in tail
    assert "does not appear to be a git repository" in tail
    family.outer.git("config", "submodule.libs/inner.update", "none")
    row, text = finished(client, host, "ls -A libs/inner", label="x")
    assert (row["status"], text) == ("succeeded", b"")


def test_a_shallow_one_travels_as_it_is(family: Family, host: Host) -> None:
    url = f"file://{family.inner.path}"
    family.outer.git("submodule", "deinit", "-q", "-f", "--all")
    shutil.rmtree(f"{family.outer.path}/.git/modules")
    family.outer.git(
        *ALLOWED[:2], "-c", f"url.{url}.insteadOf={family.inner.path}", *ALLOWED[2:], "update", "--init",
        "--depth=1",
    )  # fmt: skip
    family.here.git(*ALLOWED, "update", "--init")
    assert family.here.git("rev-parse", "--is-shallow-repository") == "true"
    client = Client(cwd=family.outer.path)
    look = f"{STATUS}; git -C libs/inner log --format=%s; git -C libs/inner fsck --connectivity-only 2>&1"
    row, text = finished(client, host, look, label="x")
    assert row["status"] == "succeeded", text
    assert text.endswith(b"\nwith deep\n")
    family.here.git("fetch", "-q", "--unshallow", url)
    family.here.commit("back", {"b.txt": "b1\n"})
    row, text = finished(client, host, f"{look}; cat libs/inner/b.txt", revision=".", label="x")
    assert row["status"] == "succeeded", text
    assert text.endswith(b"\nback\nwith deep\nb1\n"), "its blob lies in what the host does not have"
