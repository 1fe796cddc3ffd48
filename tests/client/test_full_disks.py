"""A disk that fills up while a run is under way: it ends as it did, and people are told."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests import stewards
from tests.client import hook as hooks
from tests.client.carried import is_alive, launch
from tests.wait import until

from dobby import Client
from dobby.core.view import LOG_CUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def small(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The host with dobby's directory on a filesystem of 32 MB and 3,000 files."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    place = str(tmp_path / "small")
    os.mkdir(place)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,nr_inodes=3000,mode=0700", "none", place]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    host.home = f"{place}/dobby"
    monkeypatch.setenv("DOBBY_HOME", host.home)
    yield host
    stewards.end(host.home)
    until(lambda: subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0)


FILLS = {
    "by its log": "head -c 64000000 /dev/zero",
    "by its files": 'n=0; while : > "$DOBBY_OUTPUTS/$n"; do n=$((n+1)); done 2>/dev/null',
}


@pytest.mark.parametrize("host", ["local"], indirect=True)
@pytest.mark.parametrize("what", FILLS)
def test_a_disk_that_a_job_has_filled(repo: Repo, small: Host, what: str) -> None:
    with hooks.serve() as hook:
        hooks.configure(small, hooks.table("team", hook))
        row = launch(Client(cwd=repo.path), small, f"{FILLS[what]}; exit 3", force=True).wait()
        assert (row["status"], row["exit_code"]) == ("failed", 3)
        assert (LOG_CUT in row["note"]) == (what == "by its log")
        told = hook.wait("failed")["run"]
        assert (told["exit_code"], told["note"]) == (3, row["note"])


@pytest.mark.parametrize("host", ["local"], indirect=True)
@pytest.mark.parametrize("what", FILLS)
def test_a_run_that_has_filled_the_disk_can_be_stopped(repo: Repo, small: Host, what: str) -> None:
    client = Client(cwd=repo.path)
    command = f"{FILLS[what]}; exec sleep 600"
    run = launch(client, small, command, force=True)
    until(lambda: is_full(small.home), 30)
    row = run.stop()
    assert (row["status"], row["note"]) == ("stopped", LOG_CUT if what == "by its log" else "")
    until(lambda: not is_alive(run.wrapper()), 10)


def is_full(place: str) -> bool:
    found = os.statvfs(place)
    return not found.f_bfree or not found.f_ffree
