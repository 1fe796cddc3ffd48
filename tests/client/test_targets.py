"""Which run, of which project, on which host, a caller's LABEL means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch
from tests.client.faulty_ssh import FaultySsh
from tests.conftest import Host

import dobby
from dobby import Client
from dobby.client import state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gitrepo import Repo


@pytest.fixture
def here(isolated: Path) -> Host:
    return Host("local", str(isolated / ".dobby"))


@pytest.fixture
def outside(tmp_path: Path) -> Client:
    return Client(cwd=str(tmp_path))


def test_a_label_of_several_projects(make_repo: Callable[..., Repo], here: Host, outside: Client) -> None:
    """Meant is this checkout's; outside of both it must be said which."""
    one, two = make_repo("one"), make_repo("two")
    for repo in (one, two):
        finished(Client(cwd=repo.path), here, "true", label="same")
    for repo, project in ((one, "one"), (two, "two")):
        assert Client(cwd=repo.path).find("same").project == project
        assert Client(cwd=f"{repo.path}/lib").find("same", host="local").project == project
        assert outside.find(f"{project}/same").project == project
    for call in (outside.find, outside.stop, outside.wait):
        with pytest.raises(dobby.UsageError, match="label of several projects: one/same, two/same"):
            call("same", host="local")
    assert Client(cwd=two.path).find("one/same").project == "one"


def test_a_label_is_found_outside_of_its_checkout(repo: Repo, here: Host, outside: Client) -> None:
    finished(Client(cwd=repo.path), here, "true", label="alone")
    assert outside.find("alone").project == "project"
    assert outside.find("ALONE", host="local").label == "alone"
    with pytest.raises(dobby.NotFound, match="no host knows 'nobody'"):
        outside.find("nobody")


def test_the_same_project_may_have_any_case(repo: Repo, here: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, here, "true", label="Etl")
    again = launch(client, here, "true", label="eTL")
    assert again.label == "Etl"
    client.wait("etl", host="local")
    assert {row["label"] for row in client.ps(all=True).runs} == {"Etl"}


def test_run_ids_may_be_shortened(repo: Repo, here: Host) -> None:
    client = Client(cwd=repo.path)
    for run_id in ("abc-1", "abc-2", "xyz"):
        finished(client, here, f"echo {run_id}", run_id=run_id)
    assert client.find("main", run="x").run_id == "xyz"
    assert client.find("main", run="abc-2").run_id == "abc-2"
    with pytest.raises(dobby.UsageError, match="not unique: abc-1, abc-2"):
        client.find("main", run="abc")
    with pytest.raises(dobby.NotFound, match="'q'"):
        client.find("main", run="q")
    said = bytearray()
    client.logs("main", said.extend, run="abc-1")
    assert said == b"abc-1\n"


@pytest.fixture
def far(sshd_and_local: FaultySsh) -> FaultySsh:
    return sshd_and_local


@pytest.fixture
def sshd_and_local(ssh_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultySsh:
    assert ssh_host.sshd is not None
    ssh = FaultySsh(ssh_host.sshd, str(tmp_path / "counting"))
    monkeypatch.setenv("DOBBY_SSH", ssh.program)
    return ssh


def test_the_host_of_the_last_launch_is_asked(
    repo: Repo, ssh_host: Host, here: Host, far: FaultySsh
) -> None:
    """Without -H; the others are not, unless that one does not know the label."""
    client = Client(cwd=repo.path)
    finished(client, ssh_host, "echo far", label="both")
    finished(client, here, "echo here", label="both")
    calls = len(far.calls)
    assert Client(cwd=repo.path).find("both").host == "local"
    assert len(far.calls) == calls
    finished(client, ssh_host, "echo far", label="both")
    assert Client(cwd=repo.path).find("both").host == ssh_host.name
    assert Client(cwd=repo.path).find("both", host="local").host == "local"
    assert state.known_hosts(os.environ) == [ssh_host.name, "local"]
    assert state.known_labels(os.environ) == ["both"]


def test_a_label_on_several_hosts(
    repo: Repo, ssh_host: Host, here: Host, far: FaultySsh, outside: Client
) -> None:
    client = Client(cwd=repo.path)
    finished(client, ssh_host, "true", label="both")
    finished(client, here, "true", label="both")
    os.unlink(f"{state.state_dir(os.environ)}/jobs/project/both")
    for asking in (client, outside):
        with pytest.raises(
            dobby.UsageError, match=f"is on several hosts: {ssh_host.name}, local"
        ) as failed:
            asking.find("both")
        assert failed.value.hint == "say which with -H"
    finished(client, ssh_host, "true", label="one")
    os.unlink(f"{state.state_dir(os.environ)}/jobs/project/one")
    assert client.find("one").host == ssh_host.name
    host_by_label = {row["label"]: row["host"] for row in client.ps(["one"]).runs}
    assert host_by_label == {"one": ssh_host.name}


def test_hosts_that_do_not_answer_are_named(
    repo: Repo, here: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho ssh: Could not resolve hostname gone >&2\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("DOBBY_SSH", str(program))
    (tmp_path / "config.toml").write_text('[host.old]\nssh = "gone"\n')
    monkeypatch.setenv("DOBBY_CONFIG", str(tmp_path / "config.toml"))
    client = Client(cwd=repo.path)
    finished(client, here, "true", label="mine")
    listing = client.ps()
    assert [row["label"] for row in listing.runs] == ["mine"]
    by_name = {host["host"]: host for host in listing.hosts}
    assert by_name["local"] == {"host": "local", "reachable": True, "error": None}
    assert by_name["old"]["reachable"] is False
    assert "Could not resolve hostname gone" in by_name["old"]["error"]
    with pytest.raises(dobby.Unreachable, match="host old cannot be reached"):
        client.ps(host="old")
    with pytest.raises(dobby.Unreachable):
        client.find("nobody")


def test_what_is_remembered_does_not_depend_on_odd_names(isolated: Path) -> None:
    environ = {"HOME": str(isolated)}
    for host in ("ssh://u@h:22", "a%b", ".hidden", "..", "user@host"):
        state.remember(environ, host, "p", "l")
        assert state.last_host(environ, "p", "l") == host
    assert state.known_hosts(environ) == sorted(["ssh://u@h:22", "a%b", ".hidden", "..", "user@host"])
    state.remember(environ, "other", "q", "l")
    assert state.last_host(environ, "", "l") == ""
    assert state.last_host(environ, "q", "l") == "other"
    assert state.last_host(environ, "nobody", "l") == ""
