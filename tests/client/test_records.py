"""What stands in a run's directory: damaged, from a newer version, under any umask; and the label."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import await_gone, kill_unseen, launch, touch, until_open
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def client(repo: Repo, host: Host, heard: list[str]) -> Client:
    return Client(cwd=repo.path, say=heard.append)


def overwrite(path: str, content: str) -> None:
    with open(path, "w") as file:
        file.write(content)


NEWER = json.dumps({"schema": 2, "status": "evaporated"})
DAMAGED = {
    "final empty": ("final.json", ""),
    "final cut": ("final.json", '{"schema":1,"status":"succ'),
    "final newer": ("final.json", NEWER),
    "final of another kind": ("final.json", '["final"]'),
    "final without its fields": ("final.json", '{"schema":1,"status":"stopped"}'),
    "final with an odd cause": ("final.json", '{"schema":1,"status":"failed","finished_at":"","cause":3}'),
    "request empty": ("request.json", ""),
    "request cut": ("request.json", '{"seq":1,"created_at":"2026'),
    "request newer": ("request.json", '{"seq":1,"created_at":"","request":{"schema":2}}'),
    "request without a number": ("request.json", '{"created_at":"","request":{"schema":1}}'),
    "events of no kind": ("events.jsonl", "[1]\n"),
    "events without fields": ("events.jsonl", '{"kind":"started","at":""}\n'),
    "events with half an identity": (
        "events.jsonl",
        '{"kind":"preparing","at":"","supervisor":{"pid":1}}\n',
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_damaged_file_costs_one_run(client: Client, host: Host, damage: str, heard: list[str]) -> None:
    broken, sound = (launch(client, host, "true", label=label) for label in ("broken", "sound"))
    assert broken.wait()["status"] == sound.wait()["status"] == "succeeded"
    name, content = DAMAGED[damage]
    overwrite(f"{broken.root}/{name}", content)
    heard.clear()
    rows = client.ps(all=True, host=host.name).runs
    assert [row["label"] for row in rows] == ["sound"]
    assert [s for s in heard if f"unreadable: {broken.root}/{name}: " in s and "\n" not in s] == heard
    with pytest.raises(dobby.DobbyError, match=f"unreadable: {broken.root}/{name}: ") as caught:
        client.find("broken", host=host.name)
    assert caught.value.exit_code == 1
    again = launch(client, host, "true", label="broken")
    assert again.wait()["status"] == "succeeded"


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_damaged_run_does_not_hide_the_one_that_runs(client: Client, host: Host) -> None:
    old = launch(client, host, "true")
    old.wait()
    run = launch(client, host, "sleep 300")
    overwrite(f"{old.root}/final.json", "")
    assert client.find("main", host=host.name).run_id == run.run.run_id
    with pytest.raises(dobby.Busy, match=run.run.run_id):
        launch(client, host, "true")
    assert client.stop("main", host=host.name)["run_id"] == run.run.run_id


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_damaged_stop_is_a_stop(client: Client, host: Host) -> None:
    run = launch(client, host, "sleep 300")
    run.await_event("started")
    overwrite(f"{run.root}/stop.json", '{"by":"a')
    assert run.stop()["status"] == "stopped"


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_damaged_exit_is_not_taken_for_one(client: Client, host: Host, heard: list[str]) -> None:
    gate = f"{host.home}/gate"
    run = launch(client, host, f"echo $$ > $DOBBY_OUTPUTS/pids; {until_open(gate)}")
    pids = run.pids()
    kill_unseen(host, run.supervisor())
    touch(gate)
    until(lambda: os.path.exists(f"{run.root}/exit.json"))
    await_gone(*pids, run.wrapper())
    overwrite(f"{run.root}/exit.json", "")
    assert client.ps(all=True, host=host.name).runs == []
    assert f"unreadable: {run.root}/exit.json: it is empty" in heard[-1]


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_lost_count_goes_on(client: Client, host: Host) -> None:
    """The number that orders a job's runs is noted in a file: damaged, the runs say it."""
    first = launch(client, host, "true")
    first.wait()
    for content in ("", "\0" * 21):
        overwrite(f"{first.job}/accepting", content)
        last = launch(client, host, "true")
        last.wait()
        assert client.find("main", host=host.name).run_id == last.run.run_id
    assert last.row()["seq"] == 3


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_strange_names_are_passed_over(client: Client, host: Host) -> None:
    run = launch(client, host, "true")
    run.wait()
    for name in ("lost+found", ".hidden", "a b", "x.lock", "-rf"):
        os.mkdir(f"{run.job}/runs/{name}")
        os.mkdir(f"{run.job}/../{name}")
    touch(f"{run.job}/runs/a-file")
    assert [row["run_id"] for row in client.ps(all=True, host=host.name).runs] == [run.run.run_id]


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_files_are_private_whatever_the_umask(client: Client, host: Host) -> None:
    """The job and the set-up command have the account's own."""
    before = os.umask(0)
    try:
        run = launch(client, host, "echo said; umask", setup="umask")
        run.wait()
        run.stop()
    finally:
        os.umask(before)
    with open(f"{run.root}/output.log") as file:
        assert file.read().count("0000\n") == 2
    wide = [path for path in _all_below(host.home) if stat.S_IMODE(os.lstat(path).st_mode) & 0o077]
    assert wide == []


def _all_below(top: str) -> list[str]:
    """Directories and files, symbolic links left out; git's own object files are read-only."""
    found = [top]
    for folder, dirs, files in os.walk(top):
        found += [f"{folder}/{name}" for name in (*dirs, *files)]
    return [path for path in found if not os.path.islink(path)]


# --- the label, and the acknowledgement -----------------------------------------------------------


def test_the_label_is_free_once_wait_has_returned(client: Client, host: Host) -> None:
    for _ in range(30):
        assert launch(client, host, "true").wait()["status"] == "succeeded"


def test_the_label_is_free_once_stop_has_returned(client: Client, host: Host) -> None:
    for _ in range(5):
        run = launch(client, host, "sleep 300 & sleep 300")
        assert run.stop(grace_s=0.05)["status"] == "stopped"


def test_run_returns_though_the_job_keeps_all_open(client: Client, host: Host) -> None:
    began = time.monotonic()
    run = launch(client, host, "exec 3>&1 4>&2 5>&1; sleep 300 & sleep 300")
    assert time.monotonic() - began < 10
    run.stop(grace_s=0.1)


def test_a_timeout_of_months_is_only_that(client: Client, host: Host) -> None:
    row = launch(client, host, "true", timeout="90d").wait()
    assert row["status"] == "succeeded"
