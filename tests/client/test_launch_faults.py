"""A launch whose link or agent fails at the worst moment: one run, which its id finds again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.drive import at_work, doctor, finished, launch, output, remove_agents, run_ids
from tests.client.faulty_ssh import FaultySsh
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo
    from tests.sshd import Sshd

    Doctor = Callable[[str, str], None]


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path, lasting=False)


@pytest.fixture
def doctored(host: Host) -> Iterator[Doctor]:
    """`doctored(module, text)`: see `drive.doctor`."""
    yield lambda module, text: doctor(host, module, text)
    remove_agents(host)


class Far:
    """A host behind ssh with faults."""

    def __init__(self, client: Client, host: Host, ssh: FaultySsh, said: list[str]) -> None:
        self.client, self.host, self.ssh, self.said = client, host, ssh, said

    def run(self, command: str, **options: Any) -> dobby.Run:
        return launch(self.client, self.host, command, **options)


@pytest.fixture
def far(
    repo: Repo, sshd: Sshd, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Far:
    from tests.conftest import Host, empty

    home = f"{sshd.home}/.dobby"
    empty(home)
    ssh = FaultySsh(sshd, str(tmp_path / "faulty"))
    monkeypatch.setenv("DOBBY_SSH", ssh.program)
    monkeypatch.setattr("dobby.client.launching.PAUSE_S", 0.01)
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append, lasting=False)
    return Far(client, Host(sshd.destination, home, sshd), ssh, said)


ONCE = "echo $DOBBY_RUN_ID >> $HOME/.dobby/ran"


def ran(host: Host) -> list[str]:
    return host.run(["cat", f"{host.home}/ran"], check=False).decode().split()


def test_a_cut_before_the_request_is_whole(far: Far) -> None:
    """Nothing starts; the client asks again with the same id, and gets its one run."""
    output(far.client, far.run(ONCE))
    far.ssh.plan("count")
    output(far.client, far.run(ONCE))
    whole = far.ssh.sent
    assert whole > 500
    runs = []
    for sent in (0, 1, 64, 110, whole // 2, whole - 1):
        before, far.said[:] = len(ran(far.host)), []
        far.ssh.plan(f"up {sent}")
        run = far.run(ONCE)
        assert far.ssh.unused == []
        assert any("trying again" in sentence for sentence in far.said), sent
        assert not run.already
        assert output(far.client, run)[0]["status"] == "succeeded"
        assert ran(far.host)[before:] == [run.run_id]
        runs.append(run.run_id)
    assert len(set(runs)) == 6


def test_a_cut_in_a_later_call_of_a_session(far: Far, repo: Repo) -> None:
    """Where nothing was heard of that call, it is made once more, in a session of its own."""

    def lasting() -> Client:
        return Client(cwd=repo.path, say=far.said.append)

    far.run("true", label="warm")
    far.ssh.plan("count")
    launch(lasting(), far.host, "true", label="first")
    whole = far.ssh.sent
    for sent in (1, 30, 300):
        before, client = len(ran(far.host)), lasting()
        far.ssh.plan(f"up {whole + sent}")
        launch(client, far.host, "true", label="first")
        run = launch(client, far.host, ONCE, label="later")
        assert far.ssh.unused == []
        assert not run.already
        assert output(far.client, run)[0]["status"] == "succeeded"
        assert ran(far.host)[before:] == [run.run_id]


def test_a_cut_at_every_attempt_starts_nothing(far: Far) -> None:
    far.run("true", label="warm")
    far.ssh.plan("up 80", "up 80", "up 80")
    with pytest.raises(dobby.Unreachable, match="whether the run was started is not known") as failed:
        far.run(ONCE, run_id="r-1")
    assert "--run-id r-1" in failed.value.hint
    assert "r-1" not in run_ids(far.client, far.host)
    run = far.run(ONCE, run_id="r-1")
    assert not run.already
    assert output(far.client, run)[0]["status"] == "succeeded"
    assert ran(far.host) == ["r-1"]


def test_a_cut_while_commits_are_sent(far: Far, repo: Repo) -> None:
    repo.commit("large", {"random": os.urandom(400_000)})
    far.ssh.plan("up 200000")
    run = far.run(ONCE)
    assert far.ssh.unused == []
    assert output(far.client, run)[0]["status"] == "succeeded"
    assert ran(far.host) == [run.run_id]
    cache = f"{far.host.home}/projects/project/cache.git/objects"
    left = far.host.run(["find", cache, "-name", "*incoming*"])
    assert left == b""


def test_a_cut_while_contents_are_sent(far: Far, repo: Repo, asked: list[int]) -> None:
    """Those that had arrived whole are not sent again."""
    repo.commit("ignores", {".gitignore": "data/\n"})
    far.run("true", label="warm")
    for number in range(4):
        repo.write(f"data/{number}", os.urandom(150_000))
    far.ssh.plan("up 400000")
    run = far.run(f"{ONCE}; cat data/*", include=("data",))
    assert far.ssh.unused == []
    row, said = output(far.client, run)
    assert row["status"] == "succeeded"
    assert said == b"".join((Path(repo.path) / "data" / str(n)).read_bytes() for n in range(4))
    assert ran(far.host) == [run.run_id]
    assert asked in ([1, 4, 2], [1, 4, 3]), "the list, all files, those that the cut kept back"
    blobs = f"{far.host.home}/projects/project/blobs"
    assert far.host.run(["find", blobs, "-name", "*.new"]) == b""


@pytest.mark.parametrize("if_running", ["refuse", "queue", "replace"])
def test_a_lost_acknowledgement(far: Far, if_running: str) -> None:
    """The retry answers the run that was accepted; it neither collides with it nor replaces it."""
    far.ssh.plan("lose done")
    run = far.run(ONCE, if_running=if_running)
    assert far.ssh.unused == []
    assert run.already
    assert output(far.client, run)[0]["status"] == "succeeded"
    assert ran(far.host) == [run.run_id] == run_ids(far.client, far.host)


def test_every_acknowledgement_is_lost(far: Far) -> None:
    far.ssh.plan("lose done", "lose done", "lose done")
    with pytest.raises(dobby.Unreachable, match="whether the run was started is not known"):
        far.run(ONCE, run_id="r-2")
    run = far.run(ONCE, run_id="r-2")
    assert run.already
    assert output(far.client, run)[0]["status"] == "succeeded"
    assert ran(far.host) == ["r-2"]


DIES = """
_start = start
def start(*words, **options):
    if os.path.exists({flag!r}):
        os.unlink({flag!r})
        os.kill(os.getpid(), 9)
    return _start(*words, **options)
"""


def test_the_agent_dies_between_accepting_and_starting(
    client: Client, host: Host, doctored: Doctor
) -> None:
    finished(client, host, "true", label="warm")
    flag = f"{host.home}/die"
    doctored("agent/start.py", DIES.format(flag=flag))
    host.run(["touch", flag])
    said: list[str] = []
    asking = Client(cwd=client._cwd, say=said.append)
    command = "echo once >> $DOBBY_OUTPUTS/count; cat $DOBBY_OUTPUTS/count"
    row, _ = finished(asking, host, command, run_id="r-3")
    assert host.run(["ls", host.home]).split().count(b"die") == 0
    assert any("trying again" in sentence for sentence in said)
    assert (row["run_id"], row["status"]) == ("r-3", "succeeded")
    _, said_by_job = output(client, client.find("main", host=host.name))
    assert said_by_job == b"once\n"
    assert run_ids(client, host).count("r-3") == 1


def test_eight_launches_at_once_on_a_bare_host(repo: Repo, host: Host) -> None:
    """The agent and the project's cache are made by all of them at the same time."""
    host.run(["rm", "-rf", f"{host.home}/agent"])
    failures: list[BaseException] = []

    def one(number: int) -> None:
        try:
            client = Client(cwd=repo.path)
            row, said = finished(client, host, f"echo {number}", label=f"l{number}")
            assert (row["status"], said) == ("succeeded", b"%d\n" % number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    names = host.run(["ls", "-A", f"{host.home}/agent"]).split()
    assert len(names) == 1
    assert len(names[0]) == 64


WAITS = """
import os, select
_admit = admit
def admit(*words):
    open({reached!r}, "w").close()
    while not os.path.exists({gate!r}):
        select.select([], [], [], 0.01)
    return _admit(*words)
"""

PROGRAM = """
import sys
from dobby import Client, DobbyError
try:
    Client(cwd={cwd!r}).run("main", "true", host={host!r}, environment=("none",), run_id="r-4")
except DobbyError as error:
    print(error.message)
"""


def test_ctrl_c_before_acceptance_starts_nothing(
    client: Client, host: Host, repo: Repo, doctored: Doctor
) -> None:
    finished(client, host, "true", label="warm")
    gate, reached = f"{host.home}/gate", f"{host.home}/reached"
    doctored("agent/admission.py", WAITS.format(gate=gate, reached=reached))
    process = _interrupted_launch(repo, host, reached)
    assert process.communicate(timeout=30)[0] == b"given up: nothing was started\n"
    host.run(["touch", gate])
    until(lambda: not at_work(host))
    assert "r-4" not in run_ids(client, host)


def test_ctrl_c_after_acceptance_says_that_it_runs(
    client: Client, host: Host, repo: Repo, doctored: Doctor
) -> None:
    finished(client, host, "true", label="warm")
    gate, reached = f"{host.home}/gate", f"{host.home}/reached"
    text = WAITS.replace("admit", "start").format(gate=gate, reached=reached)
    doctored("agent/start.py", text)
    process = _interrupted_launch(repo, host, reached)
    said = process.communicate(timeout=30)[0].decode()
    host.run(["touch", gate])
    assert said.startswith("given up waiting, but run r-4 was started")
    assert client.wait("main", host=host.name)["run_id"] == "r-4"


def _interrupted_launch(repo: Repo, host: Host, reached: str) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(cwd=repo.path, host=host.name)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=_env())
    until(lambda: os.path.exists(reached))
    process.send_signal(signal.SIGINT)
    return process


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__))}
