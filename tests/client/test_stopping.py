"""Stop means gone: jobs that will not go, stops at the wrong moment, and what is never touched."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, await_gone, is_alive, kill, launch, touch, until_open
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

ESCAPEES = Path(__file__).with_name("escapees.py").read_text()
GRACE_S = 0.3


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    repo.commit("jobs that will not go", {"escapees.py": ESCAPEES})
    return Client(cwd=repo.path)


def processes_of(run_id: str) -> list[int]:
    """All living processes whose environment holds the run's id."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if f"DOBBY_RUN_ID={run_id}".encode() in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return [pid for pid in found if is_alive(pid)]


def assert_gone(run: Carried, client: Client, host: Host) -> None:
    """Nothing of the run lives, and its label is free at once."""
    assert [pid for pid in run.pids() if is_alive(pid)] == []
    assert processes_of(run.run.run_id) == []
    assert not is_alive(run.wrapper())
    assert launch(client, host, "true").wait()["status"] == "succeeded"


KINDS = {"deaf": 1, "halted": 1, "daemon": 2, "anonymous": 2, "parent": 1, "chain": 1, "jailer": 1}


@pytest.mark.parametrize("carried", ["carried", "orphaned"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_will_not_go(client: Client, host: Host, kind: str, carried: str) -> None:
    run = launch(client, host, f"python3 escapees.py {kind}", grace=f"{GRACE_S}s")
    run.pids(least=KINDS[kind])
    if carried == "orphaned":
        kill(run.supervisor())
    began = time.monotonic()
    row = run.stop()
    assert time.monotonic() - began < GRACE_S + 5
    assert (row["status"], row["exit_code"]) == ("stopped", None)
    assert_gone(run, client, host)


def test_a_stop_is_asked_by_somebody(repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    run = launch(Client(cwd=repo.path), host, "sleep 300")
    assert run.stop()["cause"] == {"kind": "stopped", "by": "ada"}
    assert run.row()["cause"] == {"kind": "stopped", "by": "ada"}


def test_a_job_is_given_its_grace(client: Client, host: Host) -> None:
    """SIGINT comes first, and what the job writes then is kept; its exit code counts no more."""
    trap = "trap 'sleep 0.2; echo tidy; exit 0' INT"
    run = launch(client, host, f"{trap}; echo $$ > $DOBBY_OUTPUTS/pids; while :; do sleep 0.01; done")
    run.pids()
    assert run.stop()["status"] == "stopped"
    with open(f"{run.root}/output.log") as file:
        assert file.read().endswith("tidy\n")


def test_a_job_that_kills_its_own_process_group(client: Client, host: Host) -> None:
    """`kill 0` at the end of a script is common: it must not reach what records the end."""
    row = launch(client, host, "kill -9 0").wait()
    assert (row["status"], row["cause"]["kind"], row["cause"]["number"]) == ("failed", "signal", 9)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGUSR1"])
def test_a_signal_that_the_caller_ignores_is_not_ignored_by_the_job(
    repo: Repo, host: Host, name: str
) -> None:
    """nohup, some shells and cron ignore signals, and what they start inherits that."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        row = launch(Client(cwd=repo.path), host, f"kill -{number:d} $$; exit 3").wait()
    finally:
        signal.signal(number, before)
    if name == "SIGCHLD":  # its default is to do nothing; ignored, it loses exit codes
        assert (row["status"], row["exit_code"]) == ("failed", 3)
    else:
        assert row["cause"] == {"kind": "signal", "number": number, "name": name, "hint": ""}


def test_stop_after_the_wrapper_was_killed(client: Client, host: Host) -> None:
    run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; sleep 300", grace=f"{GRACE_S}s")
    run.pids()
    kill(run.wrapper())
    assert run.stop()["status"] == "stopped"
    assert_gone(run, client, host)


def test_stop_after_all_that_carried_it_was_killed(client: Client, host: Host) -> None:
    run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; sleep 300", grace=f"{GRACE_S}s")
    run.pids()
    kill(run.supervisor(), run.wrapper())
    assert run.stop()["status"] == "stopped"
    assert_gone(run, client, host)


def test_a_job_that_stops_its_supervisor(client: Client, host: Host) -> None:
    run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; sleep 300")
    run.pids()
    os.kill(run.supervisor(), signal.SIGSTOP)
    assert run.stop()["status"] == "stopped"
    assert_gone(run, client, host)


@pytest.mark.parametrize("carried", ["carried", "orphaned"])
def test_stop_ends_the_step_of_a_preparation(client: Client, host: Host, carried: str) -> None:
    pid_file = f"{host.home}/setup.pids"
    setup = f"echo $$ > {pid_file}; env -i sleep 300 & echo $! >> {pid_file}; wait"
    run = launch(client, host, "true", setup=setup, grace=f"{GRACE_S}s")

    def steps() -> list[int]:
        with open(pid_file) as file:
            found = [int(line) for line in file]
        assert len(found) == 2
        return found

    until(lambda: os.path.exists(pid_file))
    pids = until(steps)
    if carried == "orphaned":
        os.kill(pids[1], signal.SIGKILL)  # it wiped its environment: beyond what can be known now
        kill(run.supervisor())
    row = run.stop()
    assert (row["status"], row["started_at"]) == ("lost" if carried == "orphaned" else "stopped", None)
    await_gone(*pids)
    assert launch(client, host, "true").wait()["status"] == "succeeded"


def test_a_stop_races_a_normal_end(client: Client, host: Host) -> None:
    """Whichever is first: one final state, and it stays."""
    seen = set()
    for number in range(20):
        run = launch(client, host, f"sleep 0.0{number % 10}")
        row = run.stop()
        seen.add(row["status"])
        assert row["status"] in ("stopped", "succeeded")
        now = run.row()
        assert {key: now[key] for key in row} == row
    assert "stopped" in seen


def test_a_stop_between_the_end_and_its_final_state_comes_too_late(client: Client, host: Host) -> None:
    """The window that a race seldom hits: the command's end is recorded, and the supervisor held up."""
    gate = f"{host.home}/gate"
    run = launch(client, host, f"echo $$ > $DOBBY_OUTPUTS/pids; {until_open(gate)}; exit 3")
    run.pids()
    os.kill(run.supervisor(), signal.SIGSTOP)
    touch(gate)
    until(lambda: os.path.exists(f"{run.root}/exit.json"), 20)
    row = run.stop()
    assert (row["status"], row["exit_code"]) == ("failed", 3)
    assert os.path.exists(f"{run.root}/stop.json")
    assert run.row()["status"] == "failed"


def test_a_stop_that_comes_after_the_end_changes_nothing(client: Client, host: Host) -> None:
    run = launch(client, host, "exit 3")
    row = run.wait()
    assert run.stop() == row
    assert not os.path.exists(f"{run.root}/stop.json")


# --- children left behind -----------------------------------------------------------------------


def left_behind(client: Client, host: Host) -> Carried:
    return launch(client, host, "sleep 300 & echo $! > $DOBBY_OUTPUTS/pids; exit 3")


def test_a_child_left_behind_holds_the_label(client: Client, host: Host) -> None:
    run = left_behind(client, host)
    row = run.wait()
    assert (row["status"], row["exit_code"]) == ("failed", 3)
    child = run.pids()[0]
    assert f"sleep (pid {child})" in row["note"]
    with pytest.raises(dobby.Busy, match=rf"is failed, but left behind.*sleep \(pid {child}\)"):
        launch(client, host, "true")
    assert is_alive(child)
    assert run.stop()["exit_code"] == 3
    assert_gone(run, client, host)
    assert run.row()["status"] == "failed"


def test_stop_by_label_ends_what_an_earlier_run_left(client: Client, host: Host) -> None:
    """A queued run was stopped since: it is the label's latest, but the child is the other's."""
    run = left_behind(client, host)
    run.wait()
    queued = launch(client, host, "true", if_running="queue")
    assert queued.stop()["status"] == "stopped"
    client.stop("main", host=host.name)
    assert_gone(run, client, host)


def test_a_queued_run_starts_when_the_child_has_ended(client: Client, host: Host) -> None:
    gate = f"{host.home}/gate"
    run = launch(client, host, f"({until_open(gate)}) & exit 0")
    run.wait()
    queued = launch(client, host, "true", if_running="queue")
    assert queued.row()["status"] == "queued"
    touch(gate)
    assert queued.wait()["status"] == "succeeded"


def test_a_moment_is_not_left_behind(client: Client, host: Host) -> None:
    """What still copies the last lines of the output ends right after the command."""
    row = launch(client, host, "exec > >(sleep 0.03; cat); echo done").wait()
    assert (row["status"], row["note"]) == ("succeeded", "")


# --- what is never part of a run ----------------------------------------------------------------

INNER = """\
import os, sys
from dobby import Client
run = Client(cwd=os.getcwd()).run("HEAD", "echo $$ > $DOBBY_OUTPUTS/pids; exec sleep 300",
    label="inner", host="local", environment=("none",))
with open(os.environ["DOBBY_OUTPUTS"] + "/inner", "w") as file: file.write(run.run_id)
"""


@pytest.mark.parametrize("host", ["local"], indirect=True)
@pytest.mark.parametrize("ends", ["by itself", "stopped", "stopped without supervisor"])
def test_a_run_that_a_job_launched_is_its_own(client: Client, host: Host, repo: Repo, ends: str) -> None:
    repo.commit("calls dobby", {"inner.py": INNER})
    last = "exit 0" if ends == "by itself" else "exec sleep 300"
    outer = launch(client, host, f"{sys.executable} inner.py && echo $$ > $DOBBY_OUTPUTS/pids && {last}")
    outer.pids()
    inner = Carried(client, host, client.find("inner", host=host.name))
    sleeper = inner.pids()[0]
    if ends == "stopped without supervisor":
        kill(outer.supervisor())
    row = outer.wait() if ends == "by itself" else outer.stop()
    assert (row["status"], row["note"]) == ("succeeded" if ends == "by itself" else "stopped", "")
    assert launch(client, host, "true").wait()["status"] == "succeeded"
    assert is_alive(sleeper)
    assert inner.row()["status"] == "running"
    assert inner.stop()["status"] == "stopped"
    assert not is_alive(sleeper)


def test_a_stranger_at_a_recorded_pid_is_not_signalled(client: Client, host: Host) -> None:
    stranger = os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "300"])
    try:
        run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; exec sleep 300")
        wrapper = _parent(run.pids()[0])
        supervisor = _parent(wrapper)
        path = f"{run.root}/events.jsonl"
        with open(path) as file:
            text = file.read()
        for pid in (supervisor, wrapper):
            text = text.replace(f'"pid":{pid},', f'"pid":{stranger},')
        with open(path, "w") as file:
            file.write(text)
        kill(supervisor, wrapper)
        assert run.stop()["status"] == "stopped"
        assert is_alive(stranger)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
