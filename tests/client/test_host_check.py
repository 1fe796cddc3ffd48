"""`host check` of hosts that are well, and of what is asked over the network; see also
test_poor_hosts.py, where each host lacks something."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import launch, remove_agents
from tests.client.hook import configure

from dobby import Client
from dobby.client import state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

    from dobby.core.health import Line

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)


def lines_of(client: Client, host: Host, brief: bool = True) -> dict[str, Line]:
    return {line.check: line for line in client.hosts.check(host.name, brief=brief)[0].lines}


@contextlib.contextmanager
def site(status: int) -> Iterator[tuple[str, list[str]]]:
    """An address that answers HEAD alone, and what it was asked."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_host_that_is_well_also_when_it_has_no_agent_yet(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    remove_agents(host)
    for _ in range(2):
        checked = client.hosts.check(host.name, brief=True)[0]
        assert checked.fit
        assert {line.check for line in checked.lines} >= {
            *("connection", "login files", "clock", "python", "agent", "git", "home", "disk", "locks"),
            *("memory", "logout", "cron", "uv", "rsync", "container", "runs"),
        }
        assert not {"index", "usage"} & set(checked.facts)
    assert os.listdir(host.home) == ["agent"]


def test_the_whole_check_tells_of_network_disk_and_runs(repo: Repo, host: Host) -> None:
    with site(200) as (index, asked), site(404) as (hook, knocked):
        configure(
            host,
            f'[variables]\nPIP_INDEX_URL = "{index.replace("//", "//me:pw@")}/simple/"\n'
            f'[channel.team]\nkind = "webhook"\nurl = "{hook}/s3cret"\n'
            f'[channel.dead]\nkind = "webhook"\nurl = "http://127.0.0.1:{closed_port()}/s3cret"\n'
            f'[channel.mail]\nkind = "email"\nsmtp = "smtp+plain://127.0.0.1:{closed_port()}"\n'
            '[channel.wrong]\nkind = "slack"\n',
        )
        client = Client(cwd=repo.path)
        launch(client, host, "exec sleep 600", label="l")
        checked = client.hosts.check(host.name)[0]
        client.stop("l", host=host.name)
    lines = {line.check: line for line in checked.lines}
    assert checked.fit
    assert lines["index"].found == f"{index}/simple/ answers"
    assert (asked, knocked) == (["/simple/"], ["/"])
    assert (lines["channel team"].state, lines["channel team"].found) == (
        "good",
        "its server answers (404)",
    )
    for name in ("dead", "mail"):
        assert lines[f"channel {name}"].state == "warning"
        assert "Connection refused" in lines[f"channel {name}"].found
    assert lines["channel wrong"].state == "warning"
    assert "s3cret" not in str(checked.to_json())
    assert "me:pw" not in str(checked.to_json())
    assert "cache" in lines["project project"].found
    assert lines["runs"].found == "1 alive: project/l"


def test_settings_that_cannot_be_read_and_a_profile_that_is_not_there(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    configure(host, "max_running = [\n")
    assert [line.check for line in lines_of(client, host).values() if line.state == "bad"] == ["settings"]
    configure(host, 'profile = "/no/such/profile"\n')
    assert lines_of(client, host)["profile"].found == "/no/such/profile is not there"


def test_login_files_that_print(repo: Repo, ssh_host: Host) -> None:
    assert ssh_host.sshd is not None
    client, bashrc = Client(cwd=repo.path), Path(ssh_host.sshd.home, ".bashrc")
    first = lines_of(client, ssh_host)
    assert (first["login files"].state, "to log in" in first["connection"].found) == ("good", True)
    before = bashrc.read_bytes() if bashrc.exists() else b""
    try:
        bashrc.write_bytes(b"echo welcome, stranger; echo more\n" + before)
        again = lines_of(client, ssh_host)
    finally:
        bashrc.write_bytes(before)
    assert again["login files"].state == "warning"
    assert again["login files"].found.endswith("welcome, stranger")
    assert again["connection"].found.startswith("open already")


def test_a_host_that_cannot_be_reached_is_a_line(repo: Repo) -> None:
    host = f"ssh://nobody@127.0.0.1:{closed_port()}"
    [checked] = Client(cwd=repo.path).hosts.check(host)
    assert not checked.fit
    assert [line.check for line in checked.lines] == ["connection"]
    assert "Connection refused" in checked.lines[0].found


def test_all_hosts_of_the_settings_are_looked_at_else_the_default_one(repo: Repo) -> None:
    client = Client(cwd=repo.path)
    assert [one.host for one in client.hosts.check(brief=True)] == ["local"]
    client.hosts.add("b", f"ssh://nobody@127.0.0.1:{closed_port()}")
    client.hosts.add("a", f"ssh://nobody@127.0.0.1:{closed_port()}")
    assert [(one.host, one.fit) for one in client.hosts.check(brief=True)] == [("a", False), ("b", False)]
    assert state.known_hosts(os.environ) == []
