"""Links that are lost while a run is followed: the run goes on, and not a byte is missing."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests import leftovers
from tests.client.drive import at_work, launch, masters, output
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def client(repo: Repo, ssh_host: Host, said: list[str]) -> Client:
    return Client(cwd=repo.path, say=said.append)


class Following(threading.Thread):
    """logs -f, in a thread."""

    def __init__(self, client: Client, run: dobby.Run) -> None:
        super().__init__(daemon=True)
        self._client, self._run = client, run
        self.bytes = bytearray()
        self.row: dict[str, Any] = {}
        self.start()

    def run(self) -> None:
        self.row = self._client.logs(
            self._run.label, self.bytes.extend, host=self._run.host, run=self._run.run_id, follow=True
        )


COUNTS = """
n=0
while [ ! -e {gate} ]; do n=$((n+1)); echo "line $n of the job, with \xff"; sleep 0.003; done
"""


def test_a_follower_comes_back_at_the_byte_it_had_reached(
    client: Client, ssh_host: Host, runtime: str, said: list[str]
) -> None:
    gate = f"{ssh_host.home}/gate"
    run = launch(client, ssh_host, COUNTS.format(gate=gate))
    following = Following(client, run)
    for _ in range(3):
        seen = len(following.bytes)
        until(lambda seen=seen: len(following.bytes) > seen + 2000, 20)  # type: ignore[misc]
        for pid in masters(runtime):
            os.kill(pid, signal.SIGKILL)
    seen = len(following.bytes)
    until(lambda: len(following.bytes) > seen + 2000, 20)
    ssh_host.run(["touch", gate])
    following.join(30)
    assert following.row["status"] == "succeeded"
    assert bytes(following.bytes) == output(client, run)[1]
    lines = following.bytes.decode("utf-8", "surrogateescape").splitlines()
    assert [line.split()[1] for line in lines] == [str(n + 1) for n in range(len(lines))]
    assert any("connecting again" in sentence for sentence in said)


def test_a_host_that_falls_silent_is_noticed(client: Client, ssh_host: Host, runtime: str) -> None:
    """No byte comes either way: 15 s are the most that a follower waits for such a link."""
    assert ssh_host.sshd is not None
    assert ssh_host.sshd._process is not None
    gate = f"{ssh_host.home}/gate"
    run = launch(client, ssh_host, COUNTS.format(gate=gate))
    following = Following(client, run)
    until(lambda: len(following.bytes) > 1000)
    frozen = leftovers.descendants(ssh_host.sshd._process.pid)
    frozen = [pid for pid in frozen if _name(pid).startswith("sshd")]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        seen = len(following.bytes)
        until(lambda: len(following.bytes) > seen + 20_000, 15)
        open(gate, "w").close()
        following.join(20)
        assert following.row["status"] == "succeeded"
    finally:
        leftovers.kill_all(frozen)
    assert bytes(following.bytes) == output(client, run)[1]


def _name(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read().strip()
    return ""


def test_the_job_goes_on_while_nobody_can_reach_it(client: Client, ssh_host: Host) -> None:
    assert ssh_host.sshd is not None
    run = launch(client, ssh_host, "sleep 0.5; echo done; exit 7")
    ssh_host.sshd.stop()
    with pytest.raises(dobby.Unreachable, match=r"cannot be reached: .*refused"):
        client.wait(run.label, host=ssh_host.name)
    ssh_host.sshd.start()
    row, text = output(client, run)
    assert (row["exit_code"], text) == (7, b"done\n")


def _two(pids: list[str]) -> list[str]:
    return pids if len(pids) == 2 else []


@pytest.mark.parametrize("which", ["serving", "waiting"])
def test_a_killed_agent_is_no_result(client: Client, ssh_host: Host, said: list[str], which: str) -> None:
    gate = f"{ssh_host.home}/gate"
    run = launch(client, ssh_host, f"until [ -e {gate} ]; do sleep 0.02; done; exit 4")
    following = Following(client, run)
    waiting, serving = sorted(until(lambda: _two(at_work(ssh_host))), key=int)  # one waits for the other
    ssh_host.run(["kill", "-9", serving if which == "serving" else waiting])
    until(lambda: any("connecting again" in sentence for sentence in said))
    ssh_host.run(["touch", gate])
    following.join(20)
    assert following.row["exit_code"] == 4
