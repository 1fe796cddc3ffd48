"""Several calls by one Client: one agent serves them, and nothing of it outlives its use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tests import leftovers
from tests.client.carried import launch, touch, until_open
from tests.wait import until

from dobby import Client, NotFound
from dobby.agent.wire import Wire
from dobby.core import protocol
from dobby.transport import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def client(repo: Repo, host: Host) -> Iterator[Client]:
    """A traceback may hold it for longer than the test; its agents would be the next test's."""
    client = Client(cwd=repo.path)
    yield client
    for sessions in client._hosts()._waiting.values():
        for session in sessions:
            session.give_up()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """A session for each program that was started for one."""
    started: list[Session] = []
    start = Session._start

    def noted(self: Session, anew: bool = False) -> object:
        started.append(self)
        return start(self, anew)

    monkeypatch.setattr(Session, "_start", noted)
    return started


def agents(host: Host) -> list[int]:
    """The pids of all agents on the host."""
    uid = host.sshd.uid if host.sshd else None
    alive = leftovers.alive(os.environ[leftovers.MARK], uid)
    return [process.pid for process in alive if process.name == "dobby-agent"]


def waiting(host: Host) -> int:
    """The only agent there is, once it is alone: it waits."""
    until(lambda: len(agents(host)) == 1, evidence=lambda: agents(host))
    return agents(host)[0]


def test_one_agent_serves_one_call_after_another(
    client: Client, host: Host, started: list[Session]
) -> None:
    first = launch(client, host, "true", label="a")
    agent = waiting(host)
    second = launch(client, host, "true", label="b")
    assert second.wait()["status"] == first.wait()["status"] == "succeeded"
    assert len(client.ps(host=host.name).runs) == 2
    assert waiting(host) == agent
    assert len(started) == 1


def test_what_waits_holds_nothing(client: Client, host: Host) -> None:
    """Of two launches, the second one foretold: no lock, no sandbox that is looked at."""
    for _ in range(2):
        launch(client, host, "true").wait()
    agent = waiting(host)
    held = {name: os.readlink(f"/proc/{agent}/fd/{name}") for name in os.listdir(f"/proc/{agent}/fd")}
    assert not [path for path in held.values() if host.home in path]
    assert len(held) == 3, held


def test_an_error_does_not_spoil_the_next_call(client: Client, host: Host) -> None:
    assert client.ps(host=host.name).runs == []
    for _ in range(2):
        with pytest.raises(NotFound):
            client.find("nothing", host=host.name)
    assert client.ps(host=host.name).runs == []


def test_an_agent_that_has_gone_is_not_missed(client: Client, host: Host, started: list[Session]) -> None:
    """Nor one that goes just as it is called: whether or not its end is seen in time."""
    said: list[str] = []
    client._say = said.append
    for number in range(3):
        launch(client, host, "true", label=f"job{number}")
        os.kill(waiting(host), signal.SIGKILL)
        assert len(client.ps(host=host.name).runs) == number + 1
        os.kill(waiting(host), signal.SIGKILL)
    assert len(client.ps(all=True, host=host.name).runs) == 3
    assert len(started) == 7
    assert not [text for text in said if "again" in text]


def test_a_call_that_went_to_an_agent_that_had_gone_is_made_once_more(
    client: Client, host: Host, started: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end was not seen before the call was sent."""
    client.ps(host=host.name)
    os.kill(waiting(host), signal.SIGKILL)
    until(lambda: not agents(host))
    monkeypatch.setattr("dobby.begun.Begun.has_ended", lambda self: False)
    run = launch(client, host, "true")
    assert run.wait()["status"] == "succeeded"
    assert len(client.ps(all=True, host=host.name).runs) == 1
    assert len(started) == 2


def test_an_agent_that_is_killed_in_a_later_call_is_a_link_that_was_lost(
    client: Client, host: Host, tmp_path: Path
) -> None:
    gate = f"{host.home}/../gate"
    run = launch(client, host, until_open(gate))
    agent, rows = waiting(host), []
    follower = threading.Thread(target=lambda: rows.append(run.wait()))
    follower.start()
    serving = until(lambda: set(agents(host)) - {agent})
    os.kill(serving.pop(), signal.SIGKILL)
    until(lambda: agent not in agents(host))
    until(lambda: agents(host))
    touch(gate)
    follower.join(20)
    assert [row["status"] for row in rows] == ["succeeded"]


def test_two_threads_have_an_agent_each(client: Client, host: Host, started: list[Session]) -> None:
    client.ps(host=host.name)
    together, failed = threading.Barrier(2), []

    def ask(label: str) -> None:
        try:
            for number in range(3):
                together.wait(20)
                launch(client, host, "true", label=f"{label}{number}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(label,)) for label in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert len(client.ps(host=host.name).runs) == 6
    assert len(started) == 2


def test_a_fork_does_not_speak_to_its_parents_agent(client: Client, host: Host) -> None:
    client.ps(host=host.name)
    agent = waiting(host)
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            client.ps(host=host.name)
            code = 0 if agent in agents(host) and len(agents(host)) == 2 else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert client.ps(host=host.name).runs == []
    assert waiting(host) == agent


def test_a_client_that_is_dropped_leaves_nobody_waiting(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    client.ps(host=host.name)
    assert waiting(host)
    del client
    until(lambda: not agents(host), 2)


def test_a_program_that_ends_leaves_nobody_waiting(repo: Repo, host: Host) -> None:
    """Not even while it is taken to pieces: a job that has used dobby would have left a child behind."""
    words = f"from dobby import Client; c = Client(); c.me = c; c.ps(host={host.name!r}); print('asked')"
    said = subprocess.run(
        [sys.executable, "-c", words], cwd=repo.path, capture_output=True, text=True, timeout=60
    )
    assert (said.stdout, said.stderr) == ("asked\n", "")
    assert agents(host) == []


def test_the_command_lines_verbs_have_one_session_each(
    repo: Repo, host: Host, started: list[Session]
) -> None:
    """Also those that ask the host twice; nobody waits behind the last question."""
    client = Client(cwd=repo.path, lasting=False)
    launch(client, host, "echo x >$DOBBY_OUTPUTS/x", label="a").wait()
    for verb in (
        lambda: client.ps(host=host.name),
        lambda: client.restart("a", host=host.name),
        lambda: client.restart("a", host=host.name, same=True),
    ):
        del started[:]
        verb()
        assert len(started) == 1
        until(lambda: not agents(host), 2)


def test_what_may_not_be_done_twice_has_an_agent_of_its_own(
    client: Client, host: Host, started: list[Session]
) -> None:
    launch(client, host, "true", label="a").wait()
    client.clean(["a"], host=host.name)
    client.ps(host=host.name)
    assert len(started) == 2
    assert {"clean", "purge"} <= set(protocol.ONCE)


@pytest.mark.parametrize("then", ["silence", "a call", "the end"])
def test_an_agent_waits_for_a_call_but_not_for_long(then: str) -> None:
    reads, writes = os.pipe()
    with open(reads, "rb") as source:
        wire = Wire(source, "m")
        if then == "a call":
            os.write(writes, protocol.alone(protocol.dump_call("list", {})))
        if then == "the end":
            os.close(writes)
        assert wire.is_called_again(0.01) is (then == "a call")
        if then == "a call":
            assert wire.read_frame() == b""
            assert protocol.parse_call(wire.read_frame())[0] == "list"
        if then != "the end":
            os.close(writes)
