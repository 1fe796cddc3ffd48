"""`dobby shell`, driven over a pseudo-terminal as a person would."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import finished, launch
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

PROGRAM = """
import sys
from dobby import Client
sys.exit(Client(cwd=sys.argv[1]).shell(sys.argv[2], host=sys.argv[3]))
"""


class Terminal:
    """`client.shell` in a process of its own, with a terminal that we hold the other end of."""

    def __init__(self, cwd: str, label: str, host: str) -> None:
        self.text = ""
        env = {
            **os.environ,
            "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__)),
            "TERM": "xterm-dobby",
        }
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, cwd, label, host], env)

    def type(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def expect(self, pattern: str) -> re.Match[str]:
        """The first match in what has been shown since the last one."""

        def shown() -> re.Match[str] | None:
            while select.select([self._fd], [], [], 0)[0]:
                try:
                    self.text += os.read(self._fd, 4096).decode("utf-8", "replace")
                except OSError:  # its end: EIO on Linux
                    break
            return re.search(pattern, self.text)

        found = until(shown, 20, evidence=lambda: repr(self.text))
        assert found is not None
        self.text = self.text[found.end() :]
        return found

    def exit_code(self) -> int:
        self.expect("$")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


@pytest.fixture
def bashrc(host: Host) -> Iterator[Path]:
    """~/.bashrc on the host."""
    path = Path(host.sshd.home if host.sshd else os.environ["HOME"], ".bashrc")
    before = path.read_text() if path.exists() else ""
    yield path
    path.write_text(before)


@pytest.fixture
def client(repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("SHELL", "/bin/bash")
    return Client(cwd=repo.path)


def test_a_shell_in_the_sandbox(client: Client, repo: Repo, host: Host, bashrc: Path) -> None:
    """Its directory, the job's variables and a terminal; the account's own login files; its code."""
    bashrc.write_text("OWN_SETTING=mine\n")
    finished(client, host, "echo made > here", dir="lib", env=["PLAIN=1 2"])
    terminal = Terminal(repo.path, "main", host.name)
    with contextlib.closing(terminal):
        terminal.type(
            'echo "<$PWD|$(cat here)|$PLAIN|$DOBBY_LABEL|$OWN_SETTING|$TERM|${DOBBY_RUN_ID-none}>"; tty'
        )
        shown = terminal.expect(r"<(/[^>$]+)>").group(1).split("|")
        assert shown[0].endswith("/projects/project/jobs/main/sandbox/lib")
        assert shown[1:] == ["made", "1 2", "main", "mine", "xterm-dobby", "none"]
        terminal.expect(r"/dev/pts/\d+")
        terminal.type("exit 7")
        assert terminal.exit_code() == 7
    runs = f"{host.home}/projects/project/jobs/main/runs"
    assert host.run(["find", runs, "-name", "shell*"]) == b""


def test_the_environment_is_active_whatever_login_files_do(
    client: Client, repo: Repo, host: Host, bashrc: Path
) -> None:
    bashrc.write_text("PATH=/nowhere/first:$PATH; unset VIRTUAL_ENV\n")
    repo.commit("needs nothing", {"requirements.txt": ""})
    row, said = finished(client, host, "command -v python", environment=("pip",))
    assert row["status"] == "succeeded"
    python = said.decode().strip()
    assert "/environment/" in python
    terminal = Terminal(repo.path, "main", host.name)
    with contextlib.closing(terminal):
        terminal.type('echo "<$(command -v python)|$VIRTUAL_ENV>"')
        shown = terminal.expect(r"<(/[^>$]+)>").group(1).split("|")
        assert shown == [python, os.path.dirname(os.path.dirname(python))]
        terminal.type("exit")
        assert terminal.exit_code() == 0


def test_ctrl_c_reaches_the_shells_command_alone(
    client: Client, repo: Repo, host: Host, bashrc: Path
) -> None:
    bashrc.write_text("PS1='ready> '\n")
    finished(client, host, "true")
    terminal = Terminal(repo.path, "main", host.name)
    with contextlib.closing(terminal):
        terminal.expect("ready> ")
        # Said by the command itself: by then it is the one that the terminal interrupts.
        terminal.type("sh -c 'echo be\"\"gun; exec sleep 100'; echo not''reached")
        terminal.expect("begun")
        terminal.type("\x03")
        terminal.expect("ready> ")
        terminal.type("echo al''ive; exit 3")
        terminal.expect("alive")
        assert terminal.exit_code() == 3
    assert "notreached" not in terminal.text


def test_a_shell_may_run_beside_the_job(client: Client, repo: Repo, host: Host, bashrc: Path) -> None:
    """It is no process of the run: `stop` leaves it alone."""
    bashrc.write_text("PS1='ready> '\n")
    run = launch(client, host, "sleep 100")
    terminal = Terminal(repo.path, "main", host.name)
    with contextlib.closing(terminal):
        terminal.expect("ready> ")
        assert client.stop("main", host=host.name)["run_id"] == run.run_id
        terminal.type("echo al''ive; exit 4")
        terminal.expect("alive")
        assert terminal.exit_code() == 4


def test_a_job_without_a_sandbox_has_no_shell(client: Client, host: Host) -> None:
    finished(client, host, "true")
    client.clean(["main"])
    with pytest.raises(dobby.NotFound, match="main has no sandbox any more"):
        client.shell("main", host=host.name)
