"""Housekeeping on the host: by each run's end, and for the whole of it once a day."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, is_alive, launch
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

DAY_S = 86400


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


def configure(host: Host, text: str) -> None:
    host.run(
        ["sh", "-c", 'mkdir -p -m 700 "$1" && cat > "$1/config.toml"', "sh", host.home], input=text.encode()
    )


def done(client: Client, host: Host, label: str) -> Carried:
    run = launch(client, host, "echo said; touch left; echo kept > $DOBBY_OUTPUTS/it", label=label)
    run.wait()
    until(lambda: not is_alive(run.supervisor()), 20)  # it has tidied up
    return run


def holds(run: Carried) -> list[str]:
    return [name for name in ("output.log", "outputs/it", "left") if os.path.exists(f"{run.root}/{name}")]


def make_due(host: Host) -> None:
    """The last look at the whole host was two days ago."""
    until(lambda: os.path.exists(f"{host.home}/house"), 10)
    host.run(["touch", "-d", "2 days ago", f"{host.home}/house"])


def test_keep_last(client: Client, host: Host) -> None:
    configure(host, "keep_last = 2\n")
    runs = [done(client, host, "etl") for _ in range(4)]
    assert [holds(run) for run in runs[:2]] == [[], []]
    assert [holds(run) for run in runs[2:]] == [
        ["output.log", "outputs/it", "left"],
        ["output.log", "outputs/it"],
    ]
    assert [r["status"] for r in client.history(host=host.name).runs] == ["succeeded"] * 4
    found = {line.check: line.found for line in client.hosts.check(host.name, brief=True)[0].lines}
    assert found["keeping"].startswith("keep_last = 2: ")
    with pytest.raises(dobby.NotFound, match="has neither log nor outputs any more") as gone:
        client.fetch("etl", host=host.name, run=runs[0].run.run_id)
    assert "keep_last" in gone.value.hint
    with open(f"{runs[-1].root}/supervisor.err") as file:
        assert file.read() == ""


def test_once_a_day_the_whole_host(client: Client, host: Host) -> None:
    """Runs of other jobs that are too old, and pins of jobs that are gone."""
    old = [done(client, host, "other"), done(client, host, "other")]
    gone = done(client, host, "gone")
    final = f"{old[0].root}/final.json"
    with open(final) as file:
        text = file.read()
    host.run(["sh", "-c", 'cat > "$1"', "sh", final], input=text.replace('_at":"20', '_at":"19').encode())
    host.run(["rm", "-r", gone.job])
    project = f"{host.home}/projects/project"
    unborn = f"{project}/cache.git.new-1-abc"
    made = f"{project}/submodules/x.git.new-1.git"  # what it is named after may have any name
    host.run(["mkdir", "-p", f"{unborn}/refs", f"{unborn}2", made])
    host.run(["touch", "-d", "2 days ago", unborn, made])
    configure(host, "keep_days = 30\n")
    make_due(host)
    done(client, host, "etl")
    assert [os.path.exists(path) for path in (unborn, f"{unborn}2", made)] == [False, True, True]
    assert [holds(run) for run in old] == [[], ["output.log", "outputs/it"]]
    refs = ["git", "-C", f"{host.home}/projects/project/cache.git", "for-each-ref", "--format=%(refname)"]
    assert b"/gone" not in host.run(refs)
    assert time.time() - os.stat(f"{host.home}/house").st_mtime < DAY_S


def test_what_a_killed_launch_left_half_made(client: Client, host: Host) -> None:
    """Only a retry with the same id would ever meet it again."""
    first = done(client, host, "etl")
    half = f"{first.job}/runs/.new-20260101-000000-abcdef0123"
    host.run(["sh", "-c", 'mkdir -p "$1/outputs" && touch "$1/request.json" "$1/lock"', "sh", half])
    second = done(client, host, "etl")
    assert not os.path.exists(half)
    assert [r["run_id"] for r in client.history(host=host.name).runs] == [
        second.run.run_id,
        first.run.run_id,
    ]
