"""One connection for all calls; results come from the framed reply alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch, masters
from tests.client.faulty_ssh import FaultySsh
from tests.wait import until

import dobby
from dobby import Client
from dobby.local import Local

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def client(repo: Repo, ssh_host: Host, said: list[str]) -> Client:
    return Client(cwd=repo.path, say=said.append)


# --- this machine -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"VIRTUAL_ENV": "/v", "PATH": "/v/bin:/bin:/v/binx"}, "/bin:/v/binx"),
        ({"CONDA_PREFIX": "/c/envs/e", "CONDA_DEFAULT_ENV": "e", "PATH": "/c/envs/e/bin:/bin"}, "/bin"),
        ({"CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "base", "PATH": "/c/bin:/bin"}, "/c/bin:/bin"),
        ({"PATH": "/a::/b"}, "/a::/b"),
    ],
)
def test_an_active_environment_does_not_leak_by_path(environ: dict[str, str], path: str) -> None:
    with open(os.devnull, "wb") as nowhere:
        program = Local(environ).start(nowhere.fileno())
    try:
        found = until(lambda: Path(f"/proc/{program.pid}/environ").read_text())  # "" until exec is done
        assert set(found.split("\0")) <= {f"PATH={path}", "PWD=/", ""}  # sh adds the second
        assert f"PATH={path}\0" in found
    finally:
        program.stdin.close()
        program.stdout.close()
        assert program.ends(10)


# --- one connection --------------------------------------------------------------------------


def test_all_calls_share_one_connection(
    client: Client, ssh_host: Host, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssh_host.sshd is not None
    ssh = FaultySsh(ssh_host.sshd, str(tmp_path / "counting"))
    monkeypatch.setenv("DOBBY_SSH", ssh.program)
    counted = Client(cwd=client._cwd)
    finished(counted, ssh_host, "true")
    counted.ps(host=ssh_host.name)
    Client(cwd=client._cwd).ps(host=ssh_host.name)
    assert len([call for call in ssh.calls if " -N " in call]) == 1
    assert len(ssh.calls) > 2
    assert len(masters(runtime)) == 1


def test_a_stale_socket_is_mended(client: Client, ssh_host: Host, runtime: str) -> None:
    client.ps(host=ssh_host.name)
    (before,) = masters(runtime)
    os.kill(before, signal.SIGKILL)
    until(lambda: not masters(runtime))
    assert [n for n in os.listdir(f"{runtime}/dobby") if "." not in n], (
        "the dead master's socket lies there"
    )
    finished(client, ssh_host, "true")
    assert masters(runtime) != [before]


@pytest.mark.parametrize("spoil", ["open to others", "a link", "too long", "a file", "a space"])
def test_a_place_that_cannot_be_trusted_gets_no_socket(
    repo: Repo, ssh_host: Host, runtime: str, said: list[str], spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"{runtime}/dobby"
    if spoil == "open to others":
        os.mkdir(folder)
        os.chmod(folder, 0o770)
    elif spoil == "a link":
        os.mkdir(f"{runtime}/elsewhere", 0o700)
        os.symlink(f"{runtime}/elsewhere", folder)
    elif spoil == "a file":
        open(folder, "w").close()
    else:
        longer = f"{runtime}/{'x' * 90 if spoil == 'too long' else 'a b'}"
        os.mkdir(longer)
        monkeypatch.setenv("XDG_RUNTIME_DIR", longer)
    row, _ = finished(Client(cwd=repo.path, say=said.append), ssh_host, "true")
    assert row["status"] == "succeeded"
    warnings = [sentence for sentence in said if sentence.startswith("warning: ")]
    assert len(warnings) == 1
    assert "control socket does not go there" in warnings[0]
    assert masters(runtime) == []


def test_without_any_place_each_call_connects_afresh(
    repo: Repo, ssh_host: Host, runtime: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dobby.ssh._unfit", lambda folder: "is bewitched")
    row, text = finished(Client(cwd=repo.path, say=said.append), ssh_host, "echo here")
    assert (row["status"], text) == ("succeeded", b"here\n")
    assert any("each call connects afresh" in sentence for sentence in said)
    assert masters(runtime) == []


# --- results come from the reply alone ---------------------------------------------------------


def test_exit_codes_of_ssh_and_of_the_job_are_told_apart(
    client: Client, ssh_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = finished(client, ssh_host, "exit 255")
    assert (row["status"], row["exit_code"]) == ("failed", 255)
    for code, what in (
        (255, "cannot be reached: words of ssh"),
        (3, r"did not run dobby's agent: words .*exit 3"),
    ):
        program = tmp_path / f"ssh{code}"
        program.write_text(
            f"#!/bin/sh\ncase \"$*\" in *' -N '*) exit 0;; esac\necho words of ssh >&2; exit {code}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("DOBBY_SSH", str(program))
        with pytest.raises(dobby.Unreachable, match=what) as failed:
            Client(cwd=client._cwd).ps(host=ssh_host.name)
        assert failed.value.exit_code == 69


def test_a_changed_host_key_is_refused_in_ssh_s_own_words(
    repo: Repo, ssh_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssh_host.sshd is not None
    directory = ssh_host.sshd.directory
    with open(f"{directory}/client_key.pub") as key:
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{ssh_host.sshd.port} {key.read()}")
    with open(f"{directory}/ssh_config") as config:
        text = config.read().replace(f"{directory}/known_hosts", str(tmp_path / "known_hosts"))
    (tmp_path / "config").write_text(text)
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec ssh -F {tmp_path}/config "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("DOBBY_SSH", str(program))
    with pytest.raises(dobby.Unreachable, match="shows another key than before") as failed:
        launch(Client(cwd=repo.path), ssh_host, "true")
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in failed.value.hint
    assert "known_hosts:1" in failed.value.hint
    assert failed.value.exit_code == 69
