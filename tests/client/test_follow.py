"""Following a log that the job itself truncates, removes, or never writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, kill, launch, until_open

from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

LOG = "$DOBBY_OUTPUTS/../output.log"


class Heard:
    """What a follower gives out: the job's bytes, and what dobby says itself."""

    def __init__(self, repo: Repo, host: Host) -> None:
        self.sentences: list[str] = []
        self.said = bytearray()
        self.setup = bytearray()
        self._host = host
        self.client = Client(cwd=repo.path, say=self.sentences.append)

    def follow(self, run: Carried, gate: str = "", all: bool = False) -> str:
        """Follow to the end, opening the gate at the job's first bytes; the final status."""

        def write(data: bytes) -> None:
            self.said.extend(data)
            if gate:
                with open(gate, "w"):
                    return

        row = self.client.logs(
            run.run.label,
            write,
            setup=self.setup.extend,
            host=self._host.name,
            run=run.run.run_id,
            follow=True,
            all=all,
        )
        return str(row["status"])


@pytest.fixture
def heard(repo: Repo, host: Host) -> Heard:
    return Heard(repo, host)


@pytest.fixture
def gate(host: Host) -> str:
    return f"{host.home}/gate"


def test_a_truncated_log_is_told_of(heard: Heard, host: Host, gate: str) -> None:
    run = launch(heard.client, host, f"echo before; {until_open(gate)}; : > {LOG}; echo after")
    assert heard.follow(run, gate) == "succeeded"
    assert heard.said == b"before\nafter\n"
    assert "truncated by the job" in " ".join(heard.sentences)


def test_what_comes_after_the_cut_is_the_jobs(heard: Heard, host: Host) -> None:
    run = launch(heard.client, host, f": > {LOG}; echo after")
    run.wait()
    assert heard.follow(run) == "succeeded"
    assert heard.said == b"after\n"
    assert heard.follow(run, all=True) == "succeeded"
    assert heard.said == b"after\nafter\n"
    assert heard.setup == b""


def test_a_removed_log_is_told_of(heard: Heard, host: Host, gate: str) -> None:
    run = launch(heard.client, host, f"echo before; {until_open(gate)}; rm {LOG}; echo after")
    assert heard.follow(run, gate) == "succeeded"
    assert heard.said == b"before\n"
    assert "the log was removed" in " ".join(heard.sentences)


def test_a_cleaned_log_is_told_of(heard: Heard, host: Host) -> None:
    run = launch(heard.client, host, "echo said")
    run.wait()
    heard.client.clean(["main"])
    assert heard.follow(run) == "succeeded"
    assert heard.said == b""
    assert "the log was removed" in " ".join(heard.sentences)


def test_a_silent_job_ends_too(heard: Heard, host: Host) -> None:
    assert heard.follow(launch(heard.client, host, "exit 0")) == "succeeded"
    assert heard.said == b""


def test_a_failed_preparation_ends_the_follower(heard: Heard, host: Host) -> None:
    assert heard.follow(launch(heard.client, host, "true", setup="echo no; exit 3"), all=True) == "failed"
    assert heard.said == b""
    assert b"no\n" in heard.setup


def test_a_supervisor_killed_while_it_prepares_ends_the_follower(heard: Heard, host: Host) -> None:
    """Nothing has been written since, and nobody else looks: the freed lock itself wakes it."""
    run = launch(heard.client, host, "true", setup="sleep 300")
    run.await_event("phase")
    kill(run.supervisor())
    assert heard.follow(run, all=True) == "lost"
