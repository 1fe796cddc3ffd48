"""--memory, --cpus, --nice, and what a run used.

Real limits need a cgroup that these tests may make: as root on this machine, else they are skipped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import await_gone, kill, launch
from tests.core.examples import REQUEST
from tests.wait import until

import dobby
from dobby import Client
from dobby.agent import cgroups, limits

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

HOG = "x = bytearray(300 << 20); print(len(x))"
LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)
needs_limits = pytest.mark.skipif(
    cgroups.parents(["memory", "cpu"]) is None, reason="no cgroup with a limit may be made here"
)


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    repo.commit("a program that takes memory", {"hog.py": HOG})
    return Client(cwd=repo.path)


def fences(run_id: str) -> list[str]:
    parents = cgroups.parents(["memory", "cpu"]) or {}
    paths = {f"{parent}/dobby-{run_id}" for parent in parents.values()}
    return [path for path in paths if os.path.exists(path)]


@needs_limits
@LOCAL
def test_out_of_memory_is_proved(client: Client, host: Host) -> None:
    run = launch(client, host, "python3 hog.py", memory="100M")
    row = run.wait()
    assert (row["status"], row["cause"]) == ("failed", {"kind": "out_of_memory"})
    assert 50 << 20 < row["usage"]["peak_memory_bytes"] <= 100 << 20
    assert [event for event in run.events() if event["kind"] == "note"] == []
    assert fences(run.run.run_id) == []
    assert launch(client, host, "python3 hog.py", memory="1G").wait()["status"] == "succeeded"


@needs_limits
@LOCAL
def test_it_is_the_limit_of_all_its_processes(client: Client, host: Host) -> None:
    each = "python3 -c 'x = bytearray(60 << 20); input()'"
    run = launch(
        client, host, f"sleep 300 | {each} & sleep 300 | {each} & wait %1 %2; exit $?", memory="90M"
    )
    until(lambda: any(map(cgroups.was_out_of_memory, run.await_event("started")["fences"])), 20)
    assert run.stop(grace_s=0.1)["status"] == "stopped"
    assert fences(run.run.run_id) == []


@needs_limits
@LOCAL
def test_fewer_processors(client: Client, host: Host) -> None:
    spin = "python3 -c 'import time; t = time.time() + 1\nwhile time.time() < t: pass'"
    row = launch(client, host, spin, cpus=0.2).wait()
    assert row["status"] == "succeeded"
    assert row["usage"]["cpu_s"] < 0.6


@needs_limits
@LOCAL
def test_nobody_is_left_in_its_cgroup(client: Client, host: Host) -> None:
    """Supervisor and wrapper killed: whoever settles the run removes what was made for it."""
    run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; exec sleep 300", memory="100M", cpus="1.5")
    pids = run.pids()
    assert fences(run.run.run_id)
    kill(run.supervisor(), run.wrapper())
    assert run.row()["status"] == "running"
    assert run.stop()["status"] == "stopped"
    await_gone(*pids)
    assert fences(run.run.run_id) == []


def test_nice_and_the_killer(client: Client, host: Host) -> None:
    said = f"{host.home}/said"
    program = f"{{ nice; cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj; }} > {said}"
    assert launch(client, host, program, nice=7).wait()["status"] == "succeeded"
    before = os.nice(0)
    nice, own, wrapper = map(int, host.run(["cat", said]).split())
    assert nice == min(19, before + 7)
    assert own == min(1000, wrapper + limits.MORE_LIKELY)


@pytest.mark.parametrize("host", ["ssh"], indirect=True)
def test_refused_where_it_cannot_be(client: Client, host: Host) -> None:
    """An account that is not root, without a user manager."""
    for asked, what in ({"memory": "1G"}, "memory"), ({"cpus": 2, "force": True}, "processors"):
        with pytest.raises(dobby.DobbyError, match=f"cannot limit a run's {what}: .*user manager"):
            launch(client, host, "true", **asked)
    assert client.ps(all=True, host=host.name).runs == []


def test_what_a_run_used(client: Client, host: Host) -> None:
    spin = "python3 -c 'import time\nwhile time.process_time() < 0.3: pass'"
    run = launch(client, host, f"{spin}; head -c 5000 /dev/zero > $DOBBY_OUTPUTS/zeros; echo said")
    usage = run.wait()["usage"]
    assert usage["cpu_s"] >= 0.3
    assert 1 << 20 < usage["peak_memory_bytes"] < 1 << 30
    assert usage["disk_bytes"] == 5000 + run.row()["log_bytes"]
    failed = launch(client, host, "true", setup="exit 3").wait()
    assert failed["usage"]["peak_memory_bytes"] is failed["usage"]["cpu_s"] is None


@LOCAL
def test_a_timeout_without_a_supervisor(client: Client, host: Host) -> None:
    run = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; sleep 300", timeout="1.5s", grace="0.1s")
    pids = run.pids()
    kill(run.supervisor())
    await_gone(*pids)
    row = run.wait()
    assert (row["status"], row["cause"]) == ("timed_out", {"kind": "timeout", "timeout_s": 1.5})


# --- a user manager, by files that say what it would delegate -------------------------------------


def test_properties_of_a_scope() -> None:
    asked = REQUEST.replace(memory_bytes=1 << 30, cpus=1.5)
    most = (1 << 30) + limits.CARRIERS_BYTES
    assert limits.scope_properties(asked) == ["-p", f"MemoryMax={most}", "-p", "CPUQuota=150%"]
    assert limits.scope_properties(asked.replace(memory_bytes=None, cpus=None)) == []


@needs_limits
@LOCAL
def test_more_memory_than_is_free_is_refused_at_once(client: Client, host: Host) -> None:
    with pytest.raises(dobby.DobbyError, match=r"host local has .* of memory free, less than the 99 TB"):
        client.run("main", "true", host=host.name, environment=("none",), memory="90T")
