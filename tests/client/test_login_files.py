"""Login files and login shells of an account, which may do much, and may not be in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch, remove_agents
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may give the account another shell")


@pytest.fixture
def client(repo: Repo, ssh_host: Host) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def bashrc(ssh_host: Host) -> Iterator[Path]:
    """~/.bashrc of the account, which bash reads for each command that sshd gives it."""
    assert ssh_host.sshd is not None
    path = Path(ssh_host.sshd.home, ".bashrc")
    before = path.read_bytes() if path.exists() else b""
    yield path
    path.write_bytes(before)


LOUD = {
    "much": "seq 1 200000; seq 1 200000 >&2",
    "no newline": "printf 'welcome, no newline'; printf 'nor here' >&2",
    "binary": "head -c 100000 /dev/urandom; head -c 100000 /dev/urandom >&2",
    "a pager": "less /etc/passwd; more /etc/passwd < /dev/null",
    "tmux": "tmux attach || tmux",
    "another shell, for people": "case $- in *i*) exec fish;; esac; [ -t 0 ] && exec tcsh",
    "aliases": "alias exec=echo; alias python3=false; exec2() { :; }; umask 000; set -u",
    "a dead end": "cd /; false; unset HISTFILE; trap 'echo bye' EXIT",
    "late words": "(sleep 0.05; echo late >&2) &",
}


@pytest.mark.parametrize("text", LOUD.values(), ids=LOUD.keys())
def test_login_files_may_do_much(client: Client, ssh_host: Host, bashrc: Path, text: str) -> None:
    bashrc.write_text(f"{text}\n")
    row, said = finished(client, ssh_host, "echo the job; exit 3")
    assert (row["exit_code"], said) == (3, b"the job\n")
    remove_agents(ssh_host)
    assert finished(client, ssh_host, "echo again")[1] == b"again\n"


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "tcsh"])
def test_another_shell_in_our_place_is_named_and_runs_nothing(
    client: Client, ssh_host: Host, bashrc: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    bashrc.write_text(f'[ -n "$NESTED" ] || NESTED=1 exec {shell}\n')
    with pytest.raises(dobby.Unreachable, match="a login file that starts another shell"):
        launch(client, ssh_host, f"touch {ssh_host.home}/$(touch {ssh_host.home}/injected; echo `id`)")
    bashrc.write_text("")
    assert b"injected" not in ssh_host.run(["ls", ssh_host.home], check=False)


def test_a_shell_that_waits_for_ever_is_given_up(
    client: Client, ssh_host: Host, bashrc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dobby.ssh.PATIENCE_S", 0.5)
    client.ps(host=ssh_host.name)
    bashrc.write_text("exec sleep 1000\n")
    patient = Client(cwd=client._cwd)
    with pytest.raises(dobby.Unreachable, match=r"let us in, but did not answer within 0\.5 s"):
        patient.ps(host=ssh_host.name)
    bashrc.write_text("")
    ssh_host.run(["pkill", "-f", "^sleep 1000"])
    patient.ps(host=ssh_host.name)


@as_root
@pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh", "dash"])
def test_an_account_may_have_any_shell(client: Client, ssh_host: Host, shell: str) -> None:
    assert ssh_host.sshd is not None
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell} here")
    _change_shell(ssh_host.sshd.user, path)
    try:
        remove_agents(ssh_host)
        for text in ("first", "second"):
            row, said = finished(client, ssh_host, f"echo {text} \"$0\" '!!' $(id -un); exit 5")
            assert (row["exit_code"], said.split()[0]) == (5, text.encode())
    finally:
        _change_shell(ssh_host.sshd.user, "/bin/bash")


def _change_shell(user: str, shell: str) -> None:
    def done() -> bool:
        return (
            subprocess.run(["usermod", "-s", shell, user], capture_output=True, check=False).returncode == 0
        )

    until(done, 20)
