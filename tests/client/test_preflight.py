"""What would fail in an hour is refused at once, and leaves nothing behind; --force goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch
from tests.client.hook import configure

import dobby
from dobby import Client
from dobby.core.errors import Busy, UsageError

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)
WANTS = '[tool.dobby]\nrequires = ["sh", "no-such-r", "no-such-sql"]\n'


def jobs(host: Host) -> bytes:
    return host.run(["find", f"{host.home}/projects", "-maxdepth", "1", "-mindepth", "1"], check=False)


def test_what_a_host_lacks_is_named_with_who_requires_it(repo: Repo, host: Host) -> None:
    repo.commit("wants", {"pyproject.toml": WANTS})
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    lacks = f"host {host.name} lacks no-such-r and no-such-sql (required by pyproject.toml)"
    with pytest.raises(dobby.DobbyError) as failed:
        launch(client, host, "true", revision="HEAD", label="l", run_id="r-1")
    assert failed.value.message == lacks
    assert (failed.value.exit_code, jobs(host)) == (1, b"")
    row, _ = finished(client, host, "true", revision="HEAD", label="l", run_id="r-1", force=True)
    assert row["status"] == "succeeded"
    assert f"warning: {lacks}" in said


@LOCAL
def test_the_hosts_programs_are_none_of_a_containers(repo: Repo, host: Host) -> None:
    repo.commit("wants", {"pyproject.toml": WANTS})
    client = Client(cwd=repo.path)
    run = launch(client, host, "true", environment=("container:localhost/no-such:1",))
    assert client.wait(run.label, host=host.name)["cause"]["step"] == "environment"


@LOCAL
def test_programs_are_looked_for_where_a_run_would_find_them(
    repo: Repo, host: Host, isolated: os.PathLike[str]
) -> None:
    """In the settings' `path`, and in what the profile adds."""
    tools, more = os.path.join(isolated, "tools"), os.path.join(isolated, "more")
    for folder, name in ((tools, "no-such-r"), (more, "no-such-sql")):
        os.mkdir(folder)
        with open(f"{folder}/{name}", "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(f"{folder}/{name}", 0o755)
    profile = os.path.join(isolated, "profile")
    with open(profile, "w") as file:
        file.write(f'PATH="$PATH:{more}"\n')
    configure(host, f'path = ["{tools}"]\nprofile = "{profile}"\n')
    repo.commit("wants", {"pyproject.toml": WANTS})
    assert finished(Client(cwd=repo.path), host, "no-such-r && no-such-sql")[0]["status"] == "succeeded"
    with open(profile, "w") as file:
        file.write("exit 3\n")
    with pytest.raises(dobby.DobbyError, match=r"profile .* could not be sourced"):
        launch(Client(cwd=repo.path), host, "true", label="other")


@LOCAL
def test_a_path_is_no_programs_name(repo: Repo, host: Host) -> None:
    repo.commit("wants", {"pyproject.toml": '[tool.dobby]\nrequires = ["/usr/bin/psql"]\n'})
    with pytest.raises(UsageError, match=r"pyproject\.toml.*requires is wrong.*no program's name"):
        launch(Client(cwd=repo.path), host, "true")


def test_a_disk_with_less_than_the_host_wants_free(repo: Repo, host: Host) -> None:
    configure(host, "min_free_mb = 900000000\n")
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    with pytest.raises(dobby.DobbyError, match="less than the 900000000 MB that a run must find"):
        launch(client, host, "true", run_id="r-1")
    assert jobs(host) == b""
    assert finished(client, host, "true", run_id="r-1", force=True)[0]["status"] == "succeeded"
    assert any(line.startswith(f"warning: host {host.name} has ") for line in said)


def test_a_label_that_is_held_is_told_before_commits_travel(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    run = launch(client, host, "exec sleep 600", label="l")
    commit = repo.commit("more", {"more": "x"})
    with pytest.raises(Busy):
        launch(client, host, "true", label="l", revision="HEAD")
    cache = f"{host.home}/projects/{run.project}/cache.git"
    held = host.run(["git", "-C", cache, "cat-file", "-t", commit], check=False)
    assert held == b""
    client.stop("l", host=host.name)
    assert finished(client, host, "true", label="l", revision="HEAD")[0]["status"] == "succeeded"
