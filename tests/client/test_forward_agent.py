"""`--forward-agent`: the set-up may use the caller's ssh agent, the command may not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, launch
from tests.client.drive import finished, output
from tests.wait import until

import dobby
from dobby import Client
from dobby.client.following import Follower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

pytestmark = pytest.mark.usefixtures("_forwarding")
LISTED = "ssh-add -l | tee listed"
PROGRAM = """
import sys
from dobby import Client
from dobby.client.following import Follower
Client(cwd=sys.argv[1], say=lambda s: print(s, flush=True)).run(
    "main", "true", host=sys.argv[2], environment=("none",), setup="echo begun; sleep 600",
    run_id="cut-off", forward_agent=True)
"""


@pytest.fixture
def _forwarding(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' ssh knows of no agent (`IdentityAgent none`), so that none of a developer's is
    asked; here it does."""
    if host.sshd is None:
        return
    with open(f"{host.sshd.directory}/ssh_config") as config:
        (tmp_path / "config").write_text(config.read().replace("IdentityAgent none", ""))
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec ssh -F {tmp_path}/config "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("DOBBY_SSH", str(program))


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a key in an ssh agent of the test's own."""
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    path, pid = re.search(r"SSH_AUTH_SOCK=([^;]+)", said), re.search(r"SSH_AGENT_PID=(\d+)", said)
    assert path
    assert pid
    monkeypatch.setenv("SSH_AUTH_SOCK", path.group(1))
    try:
        file = str(tmp_path / "key")
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a-key", "-f", file], check=True
        )
        subprocess.run(["ssh-add", "-q", file], check=True)
        yield "a-key"
    finally:
        os.kill(int(pid.group(1)), 15)


def test_the_set_up_has_it_and_the_command_has_not(repo: Repo, host: Host, key: str) -> None:
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    client.ps(host=host.name)  # a connection that forwards nothing is there already
    command = 'cat listed; echo "<$SSH_AUTH_SOCK>"'
    row, text = finished(client, host, command, setup=LISTED, forward_agent=True)
    assert row["status"] == "succeeded"
    assert key in text.decode()
    assert text.decode().endswith("<>\n")
    assert any("keeping the connection until the set-up is done" in sentence for sentence in said)
    again = client.restart("main", host=host.name)
    assert key in output(client, again)[1].decode()


def test_it_is_not_there_unasked(repo: Repo, host: Host, key: str) -> None:
    setup = 'echo "<$SSH_AUTH_SOCK>" > listed'
    _, text = finished(Client(cwd=repo.path), host, "cat listed", setup=setup)
    assert text == b"<>\n"


def test_who_follows_sees_the_set_up_and_then_the_job(repo: Repo, host: Host, key: str) -> None:
    shown: list[bytes] = []
    setup: list[bytes] = []
    follower = Follower(acknowledged=lambda run: None, write=shown.append, setup=setup.append)
    run = Client(cwd=repo.path).run(
        *("main", "echo job; exit 3"),
        host=host.name,
        environment=("none",),
        setup=LISTED,
        forward_agent=True,
        follower=follower,
    )
    assert (run.row["status"], run.row["exit_code"]) == ("failed", 3)
    assert b"".join(shown) == b"job\n"
    assert key.encode() in b"".join(setup)


def test_a_laptop_that_goes_away_is_the_end_of_the_set_up(repo: Repo, host: Host, key: str) -> None:
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__))}
    words = [sys.executable, "-c", PROGRAM, repo.path, host.name]
    client = Client(cwd=repo.path)
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE) as laptop:
        said = laptop.stdout
        assert said
        until(lambda: b"keeping the connection" in said.readline(), 30)
        run = Carried(client, host, client.find("main", host=host.name))
        log = f"{run.root}/output.log"
        until(lambda: os.path.exists(log) and b"begun" in Path(log).read_bytes(), 20)
        laptop.kill()
    row = run.wait()
    assert (row["status"], row["cause"]["kind"]) == ("failed", "environment")
    assert "connection to the laptop was lost" in row["cause"]["tail"]


def test_without_an_agent_nothing_runs(repo: Repo, host: Host) -> None:
    with pytest.raises(dobby.UsageError, match="no ssh agent came along"):
        launch(Client(cwd=repo.path), host, "true", forward_agent=True)
