"""Git LFS in what no laptop sends: git-lfs on the host fetches contents; where it cannot, that is said."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client import lfs_repo
from tests.client.drive import finished
from tests.client.hook import configure
from tests.client.lfs_repo import content
from tests.client.test_lfs import digest, look
from tests.gitrepo import Repo

from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host

SUBMODULE = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")


@pytest.fixture
def remotes(tmp_path: Path, host: Host) -> Iterator[str]:
    """A directory's URL, of the account on the host: inner.git under Git LFS with its contents, and
    outer.git, which has that as a submodule."""
    inner = lfs_repo.make(tmp_path / "inner")
    outer = Repo(str(tmp_path / "outer"))
    outer.git(*SUBMODULE, "--name", "lib", inner.path, "libs/inner")
    outer.git("config", "-f", ".gitmodules", "submodule.lib.url", "../inner.git")
    outer.git("commit", "-qam", "with a submodule")
    base = Path(host.sshd.home if host.sshd else os.environ["HOME"], "remotes")
    for repo in (inner, outer):
        path = base / f"{Path(repo.path).name}.git"
        subprocess.run(["git", "clone", "-q", "--bare", repo.path, str(path)], check=True)
    shutil.copytree(f"{inner.path}/.git/lfs/objects", base / "inner.git/lfs/objects")
    if host.sshd and os.getuid() == 0:
        subprocess.run(["chown", "-R", host.sshd.user, str(base)], check=True)
    yield f"file://{base}"
    shutil.rmtree(base)


def kept(host: Host, project: str) -> list[str]:
    listed = host.run(["find", f"{host.home}/projects/{project}/blobs/objects", "-type", "f"], check=False)
    return sorted(path.rpartition("/")[2] for path in listed.decode().split())


def test_the_host_fetches_contents_once_and_clean_removes_them(
    remotes: str, host: Host, tmp_path: Path
) -> None:
    client = Client(cwd=str(tmp_path))
    expected = [digest(content(1)), digest(content(2))]
    for label, told in (("a", 1), ("b", 0), ("a", 0)):
        row, said = finished(
            client, host, look("data/a.bin", "b.bin"), repo=f"{remotes}/inner.git", label=label
        )
        assert (row["status"], said.decode().split()) == ("succeeded", expected)
        log = f"{host.home}/projects/inner/jobs/{label}/runs/{row['run_id']}/output.log"
        assert host.run(["cat", log]).count(b"fetching 2 files under Git LFS from ") == told
    assert kept(host, "inner") == sorted(expected)
    client.clean(["a"], host=host.name)
    assert kept(host, "inner") == sorted(expected), "the other job needs them"
    client.clean(["b"], host=host.name)
    assert kept(host, "inner") == []


def test_in_a_submodule_that_the_host_fetches(remotes: str, host: Host, tmp_path: Path) -> None:
    command = look("libs/inner/b.bin") + "git -C libs/inner status --porcelain"
    said = finished(Client(cwd=str(tmp_path)), host, command, repo=f"{remotes}/outer.git")[1]
    assert said.decode().split() == [digest(content(2))]


def test_without_contents_pointers_stay_and_that_is_said(remotes: str, host: Host, tmp_path: Path) -> None:
    client = Client(cwd=str(tmp_path))
    base = remotes.removeprefix("file://")
    shutil.rmtree(f"{base}/inner.git/lfs")

    def log_of(label: str) -> str:
        row, said = finished(client, host, "head -1 b.bin", repo=f"{remotes}/inner.git", label=label)
        assert (row["status"], said) == ("succeeded", b"version https://git-lfs.github.com/spec/v1\n")
        run = f"{host.home}/projects/inner/jobs/{label}/runs/{row['run_id']}"
        return host.run(["cat", f"{run}/output.log"]).decode()

    assert "2 could not be fetched from file://" in log_of("a")
    os.mkdir(f"{base}/bin", 0o755)
    for name in ("git", "bash", "sh", "head"):
        os.symlink(shutil.which(name) or "", f"{base}/bin/{name}")
    configure(host, f'[variables]\nPATH = "{base}/bin"\n')
    assert "there is no git-lfs on this host to fetch them, so pointers stay" in log_of("b")
