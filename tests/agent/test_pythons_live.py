"""The agent carries real runs under every Python of this machine that it may meet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests import pythons

import dobby
from dobby import Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo


@pytest.fixture(params=pythons.found().items(), ids=lambda item: item[0])
def python(request: pytest.FixtureRequest, isolated: Path) -> str:
    """An interpreter that the host's settings name."""
    path = str(request.param[1])
    home = isolated / ".dobby"
    home.mkdir(0o700)
    (home / "config.toml").write_text(f'python = "{path}"\n')
    return path


def test_a_day_of_dobby(python: str, repo: Repo, isolated: Path) -> None:
    """Launch, follow, outputs, fetch, queue, stop, restart, list, shell's note, clean."""
    client = Client(cwd=repo.path)
    options: dict[str, Any] = {"host": "local", "environment": ("none",)}
    run = client.run("demo", "python3 hello.py; echo x > $DOBBY_OUTPUTS/x; exit 3", **options)
    said = bytearray()
    row = client.logs("demo", said.extend, follow=True)
    assert (row["status"], row["exit_code"], bytes(said)) == ("failed", 3, b"hello from demo\n")
    (agent,) = (isolated / ".dobby/agent").iterdir()
    assert (agent / "python").read_text().strip() == os.path.realpath(python)
    assert client.fetch("demo", to="got")["files"] == 1
    repo.write("untracked", "as it is\n")
    client.run(".", "cat untracked; sleep 60", label="tree", **options)
    queued = client.run(".", "true", label="tree", if_running="queue", **options)
    with pytest.raises(dobby.Busy, match="tree is busy"):
        client.run(".", "true", label="tree", **options)
    assert client.stop("tree")["status"] == "stopped"
    assert client.find("tree", run=queued.run_id).row["status"] == "stopped"
    again = client.restart("demo", same=True)
    assert client.wait("demo", run=again.run_id)["exit_code"] == 3
    timed = client.run("main", "sleep 60", timeout="0.2s", grace="0.1s", **options)
    assert client.wait("main", run=timed.run_id)["status"] == "timed_out"
    listed = {r["run_id"]: r["status"] for r in client.ps(all=True).runs}
    assert listed[run.run_id] == "failed"
    assert len(listed) == 5
    assert {c["label"] for c in client.clean(all=True, outputs=True)["cleaned"]} == {"demo", "tree", "main"}
    assert len(client.history().runs) == 5
