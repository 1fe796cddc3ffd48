"""Several hosts at once: one that is dead costs a line, and no more than the limit."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.drive import finished

import dobby
from dobby import Client
from dobby.cli import ps
from dobby.client.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def dead(ssh_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A port that takes connections and never says a word; the user's file, in which it is `dead`."""
    assert ssh_host.sshd is not None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with open(f"{ssh_host.sshd.directory}/ssh_config") as config:
            port = silent.getsockname()[1]
            text = f"Host dead\n  HostName 127.0.0.1\n  Port {port}\n{config.read()}"
        (tmp_path / "ssh_config").write_text(text)
        program = tmp_path / "ssh"
        program.write_text(f'#!/bin/sh\nexec ssh -F {tmp_path}/ssh_config "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("DOBBY_SSH", str(program))
        file = tmp_path / "config.toml"
        file.write_text(f'answer_within = "4s"\n[host.{ssh_host.name}]\n[host.dead]\n')
        monkeypatch.setenv("DOBBY_CONFIG", str(file))
        yield file


def test_a_dead_host_is_a_line_and_the_others_are_shown_at_once(
    repo: Repo, ssh_host: Host, dead: Path
) -> None:
    client = Client(cwd=repo.path)
    row, _ = finished(client, ssh_host, "true")
    early: list[tuple[float, Listing]] = []
    begin = time.monotonic()
    found = client.ps(meanwhile=lambda listing: early.append((time.monotonic() - begin, listing)))
    took = time.monotonic() - begin
    assert [r["run_id"] for r in found.runs] == [row["run_id"]]
    states = {h["host"]: h for h in found.hosts}
    assert states[ssh_host.name]["reachable"]
    assert not states["dead"]["reachable"]
    assert took < 8  # ssh alone would have tried for ten
    ((at, shown),) = early
    assert at < took
    assert [h["host"] for h in shown.hosts] == [ssh_host.name]
    assert shown.runs == found.runs


def test_several_hosts_are_asked_without_a_question_to_the_user(
    repo: Repo, ssh_host: Host, dead: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    real = dobby.client.hosts.Hosts._make

    def spy(self: Any, host: str, alone: bool, forward_agent: bool = False) -> Any:
        asked.append(alone)
        return real(self, host, alone, forward_agent)

    monkeypatch.setattr("dobby.client.hosts.Hosts._make", spy)
    dead.write_text(dead.read_text().replace("4s", "500ms"))
    client = Client(cwd=repo.path, interactive=True)
    with contextlib.suppress(dobby.Unreachable):  # the other one may be too slow for that, too
        client.ps()
    client.ps(host=ssh_host.name)
    assert asked == [False, False, True]


def test_what_was_shown_early_is_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    def row(host: str) -> dict[str, Any]:
        return {
            "host": host,
            "label": f"job-of-{host}",
            "project": "p",
            "status": "running",
            "run_id": host,
        }

    def line(host: str, error: str | None) -> dict[str, Any]:
        return {"host": host, "reachable": error is None, "error": error}

    class Slow:
        def ps(self, labels: Any, *, all: bool, host: Any, meanwhile: Any) -> Listing:
            meanwhile(Listing(runs=[row("quick")], hosts=[line("quick", None)]))
            return Listing(
                runs=[row("quick"), row("slow")],
                hosts=[line("dead", "no answer"), line("quick", None), line("slow", None)],
            )

    assert ps.main([], lambda voice: Slow()) == 0  # type: ignore[arg-type, return-value]
    told = capsys.readouterr()
    assert [told.out.count(f"job-of-{host}") for host in ("quick", "slow")] == [1, 1]
    assert told.err.count("dead did not answer: no answer") == 1
