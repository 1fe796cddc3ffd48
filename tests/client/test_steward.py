"""Whatever is killed: somebody settles the run, and people are told, once."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.client import hook as hooks
from tests.client.carried import await_gone, is_alive, kill, kill_unseen, launch, steward, touch, until_open
from tests.client.hook import Hook, await_recorded, await_told, configure, gated, notices, outbox
from tests.wait import until

from dobby import Client
from dobby.agent.inotify import CREATE, DELETE, DELETE_SELF, MOVED_TO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hooks.serve() as running:
        yield running


@pytest.fixture
def team(host: Host, hook: Hook) -> Hook:
    """A service behind the channel "team"."""
    configure(host, hooks.table("team", hook))
    return hook


@pytest.fixture
def gate(host: Host) -> str:
    return f"{host.home}/gate"


# --- what is killed -----------------------------------------------------------------------------


def test_a_killed_supervisor(client: Client, host: Host, team: Hook, gate: str) -> None:
    """The command goes on; its exit code is told, once, though nobody asks."""
    run = gated(client, host, gate, 7)
    kill(run.supervisor())
    touch(gate)
    assert team.wait("failed")["run"]["exit_code"] == 7
    await_told(host)
    assert team.kinds() == ["started", "failed"]


def test_supervisor_and_wrapper_killed(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    kill(run.supervisor(), run.wrapper())
    touch(gate)
    await_gone(*run.pids())
    gone = time.monotonic()
    assert team.wait("lost")["run"]["cause"] == {"kind": "supervisor_killed"}
    assert team.posts[-1].at - gone < 5
    await_told(host)
    assert team.kinds() == ["started", "lost"]


@LOCAL
@pytest.mark.parametrize("phase", ["running", "preparing", "queued"])
def test_a_killed_steward_is_replaced_by_a_supervisor(
    client: Client, host: Host, team: Hook, gate: str, phase: str
) -> None:
    first = gated(client, host, gate)
    guard = first
    if phase == "preparing":
        guard = launch(client, host, "true", label="other", setup=until_open(gate))
    elif phase == "queued":
        guard = launch(client, host, "true", if_running="queue")
    await_recorded(first)
    if guard is not first:
        kill(first.supervisor())
    dead = steward(host)
    kill(dead)
    until(lambda: steward(host) != dead and is_alive(steward(host)), 30, evidence=lambda: steward(host))
    assert is_alive(guard.supervisor())
    touch(gate)
    assert guard.wait()["status"] == "succeeded"
    await_told(host)
    for run in {first.run.run_id, guard.run.run_id}:
        assert team.of_run(run) == ["started", "succeeded"]


@LOCAL
def test_stewards_that_die_at_once_do_not_come_in_a_flood(
    client: Client, host: Host, team: Hook, gate: str
) -> None:
    run = gated(client, host, gate)
    dead = steward(host)
    kill(dead)
    until(lambda: steward(host) != dead and is_alive(steward(host)), 5)
    second = steward(host)
    began = time.monotonic()
    kill(second)
    until(lambda: steward(host) != second and is_alive(steward(host)), 30)
    assert time.monotonic() - began > 5
    assert is_alive(run.supervisor())
    touch(gate)
    team.wait("succeeded")


def test_a_killed_steward_is_replaced_by_the_next_contact(client: Client, host: Host, team: Hook) -> None:
    team.answers = [500] * 2
    run = launch(client, host, "exit 4")
    until(lambda: notices(run) and notices(run)[0]["state"] == "failed", evidence=lambda: notices(run))
    until(lambda: run.row()["status"] == "failed")
    kill_unseen(host)
    assert outbox(host)
    client.ps(host=host.name)
    team.wait("failed")
    await_told(host)
    assert notices(run)[0]["state"] == "sent"


@LOCAL
def test_another_boot(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    await_recorded(run)
    kill_unseen(host, run.supervisor(), run.wrapper(), *run.pids())
    path = f"{run.root}/events.jsonl"
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace(boot, "another"))
    assert team.kinds() == ["started"]
    client.ps(host=host.name)
    assert team.wait("lost")["run"]["cause"] == {"kind": "rebooted"}
    await_told(host)
    assert team.kinds() == ["started", "lost"]


# --- the steward itself -----------------------------------------------------------------------------


def test_a_run_is_acknowledged_once_a_steward_lives(client: Client, host: Host, gate: str) -> None:
    run = launch(client, host, until_open(gate))
    watcher = steward(host)
    assert is_alive(watcher)
    assert os.path.exists(f"{host.home}/outbox/{run.run.project}%2F{run.run.label}%2F{run.run.run_id}")
    touch(gate)
    run.wait()
    await_told(host)
    second = launch(client, host, "true")
    second.wait()
    assert steward(host) == watcher


@LOCAL
def test_it_leaves_when_all_is_told(client: Client, host: Host, team: Hook) -> None:
    launch(client, host, "true")
    team.wait("succeeded")
    await_told(host)
    began, watcher = time.monotonic(), steward(host)
    until(lambda: not is_alive(watcher), 15)
    assert time.monotonic() - began > 8
    with open(f"{host.home}/{next(n for n in os.listdir(host.home) if n.endswith('.err'))}") as file:
        assert file.read() == ""


@LOCAL
def test_it_sleeps_while_jobs_are_silent(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    await_recorded(run)
    seen: list[int] = []

    def still() -> bool:
        seen[:] = [_switches(steward(host))]
        threading.Event().wait(1.5)
        seen.append(_switches(steward(host)))
        return seen[0] == seen[1]

    until(still, 8, evidence=lambda: seen)
    assert _children(steward(host)) == []
    touch(gate)
    team.wait("succeeded")


@LOCAL
def test_nobody_watches_what_a_command_writes(client: Client, host: Host, team: Hook, gate: str) -> None:
    """Neither steward nor `wait`: a directory whose files are watched makes each write to them slower."""
    run = gated(client, host, gate)
    waiting = threading.Thread(target=run.wait)
    waiting.start()
    until(lambda: len(_masks(run.root)) == 2, evidence=lambda: _masks(run.root))
    of_names = CREATE | DELETE | DELETE_SELF | MOVED_TO
    assert [f"{mask & ~of_names:x}" for mask in _masks(run.root)] == ["0", "0"]
    assert _masks(f"{run.root}/output.log") == []
    touch(gate)
    waiting.join()
    team.wait("succeeded")


def _masks(path: str) -> list[int]:
    """What inotify is asked to tell of the file or directory, by anyone (proc_pid_fdinfo(5))."""
    wanted, found = f"ino:{os.stat(path).st_ino:x}", []
    for fdinfo in glob.glob("/proc/[0-9]*/fdinfo/*"):
        try:
            with open(fdinfo) as file:
                marks = [line.split() for line in file if line.startswith("inotify")]
        except OSError:
            continue
        found += [int(words[4].partition(":")[2], 16) for words in marks if wanted in words]
    return found


def _switches(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@LOCAL
def test_there_is_one(client: Client, host: Host, team: Hook, gate: str) -> None:
    """Many contacts at one instant, and no steward."""
    run = gated(client, host, gate)
    await_recorded(run)
    os.kill(run.supervisor(), signal.SIGSTOP)
    kill(steward(host))
    threads = [threading.Thread(target=client.ps, kwargs={"host": host.name}) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: is_alive(steward(host)))
    os.kill(run.supervisor(), signal.SIGCONT)
    until(
        lambda: _named("dobby-steward", host) == [steward(host)],
        evidence=lambda: _named("dobby-steward", host),
    )
    touch(gate)
    team.wait("succeeded")
    await_told(host)
    assert team.kinds() == ["started", "succeeded"]


def _named(name: str, host: Host) -> list[int]:
    """Processes of that name which serve this host: their stderr is in its directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                same = file.read().strip() == name
            if same and os.readlink(f"/proc/{pid}/fd/2").startswith(host.home):
                found.append(int(pid))
        except OSError:
            continue
    return found


@LOCAL
def test_it_goes_when_it_is_told_to(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    team.wait("started")
    kill(run.supervisor())
    watcher = steward(host)
    os.kill(watcher, signal.SIGTERM)
    await_gone(watcher)
    touch(gate)
    until(lambda: os.path.exists(f"{run.root}/exit.json"))
    client.ps(host=host.name)
    team.wait("succeeded")


@LOCAL
def test_a_run_that_was_removed(client: Client, host: Host, team: Hook) -> None:
    team.answers = [(429, {"Retry-After": "3000"})]
    run = launch(client, host, "true")
    run.wait()
    until(lambda: notices(run))
    gone = f"{host.home}/gone"  # as trash is: the steward may yet look, and writes into no half of a run
    os.rename(run.root, gone)
    shutil.rmtree(gone)
    await_told(host)
