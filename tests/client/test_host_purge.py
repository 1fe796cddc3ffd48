"""`host remove --purge`: all that dobby has put on a host goes, or nothing does, and it says why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch
from tests.client.hook import configure

from dobby import Client
from dobby.client import state
from dobby.core.errors import Busy, DobbyError

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


def test_nothing_is_left(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    configure(host, "keep_last = 5\n")
    finished(client, host, "mkdir -m 500 closed; echo x > y")
    finished(client, host, "true", label="other")
    host.run(["mkdir", "-p", f"{host.home}/tools/uv/bin"])
    host.run(["touch", f"{host.home}/tools/uv.lock"])
    done = client.hosts.remove(host.name, purge=True)
    assert done["purged"]["left"] == []
    assert done["purged"]["freed_bytes"] > 100_000
    assert not os.path.exists(host.home)
    assert host.name not in state.known_hosts(os.environ)
    assert finished(client, host, "true")[0]["status"] == "succeeded"  # as on a host never seen


def test_a_run_that_lives_keeps_all(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    launch(client, host, "exec sleep 600", label="l")
    before = sorted(os.listdir(host.home))
    with pytest.raises(Busy, match="something of project/l still lives"):
        client.hosts.remove(host.name, purge=True)
    assert sorted(os.listdir(host.home)) == before
    assert host.name in state.known_hosts(os.environ)
    client.stop("l", host=host.name)
    assert client.hosts.remove(host.name, purge=True)["purged"]["left"] == []


def test_outputs_are_kept_and_named_unless_they_may_go(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, 'head -c 2000000 /dev/zero > "$DOBBY_OUTPUTS/x"', label="l")
    with pytest.raises(DobbyError, match=r"outputs of project/l \(2\.0 MB\), so nothing was removed"):
        client.hosts.remove(host.name, purge=True)
    assert client.ps(host=host.name).runs
    client.hosts.remove(host.name, purge=True, outputs=True)
    assert not os.path.exists(host.home)


def test_what_is_none_of_dobbys_stays_and_is_named(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "true")
    for path in ("projects/mine/notes", "agent/mine"):
        host.run(["mkdir", "-p", f"{host.home}/{path}"])
    done = client.hosts.remove(host.name, purge=True)
    assert done["purged"]["left"] == ["agent", "projects"]
    assert os.listdir(f"{host.home}/projects") == ["mine"]
    host.run(["rm", "-r", f"{host.home}/projects"])
