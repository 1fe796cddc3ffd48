"""What becomes of a run when what carries it is killed: the end is proved, or it is lost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.carried import Carried, is_alive, kill, kill_unseen, launch, touch, until_open
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path, lasting=False)


@pytest.fixture
def gate(host: Host) -> str:
    return f"{host.home}/gate"


def gated(client: Client, host: Host, gate: str, code: int = 0, **options: Any) -> Carried:
    """A running job that writes its pid, then ends with `code` once the gate is open."""
    run = launch(
        client, host, f"echo $$ >> $DOBBY_OUTPUTS/pids; {until_open(gate)}; exit {code}", **options
    )
    run.pids()
    return run


class Follower(threading.Thread):
    """`logs -f` of a run, in the background."""

    def __init__(self, run: Carried, repo: Repo) -> None:
        super().__init__(daemon=True)
        self.row: dict[str, Any] = {}
        self.said = bytearray()
        self._run = run
        self._client = Client(cwd=repo.path, lasting=False)

    def run(self) -> None:
        run = self._run
        self.row = self._client.logs(
            run.run.label, self.said.extend, host=run.host.name, run=run.run.run_id, follow=True
        )

    def result(self) -> dict[str, Any]:
        self.join(20)
        assert not self.is_alive(), "the follower hangs"
        return self.row


def test_a_killed_supervisor_costs_nothing(client: Client, host: Host, gate: str, repo: Repo) -> None:
    run = gated(client, host, gate, 7)
    follower = Follower(run, repo)
    follower.start()
    kill(run.supervisor())
    assert run.row()["status"] == "running"
    touch(gate)
    assert follower.result()["status"] == "failed"
    row = run.row()
    assert (row["exit_code"], row["cause"]) == (7, {"kind": "exit", "code": 7})
    assert row["duration_s"] > 0
    assert launch(client, host, "true").wait()["status"] == "succeeded"


def test_the_label_is_held_while_the_command_outlives_its_supervisor(
    client: Client, host: Host, gate: str
) -> None:
    run = gated(client, host, gate)
    kill(run.supervisor())
    with pytest.raises(dobby.Busy, match=f"run {run.run.run_id} is running since"):
        launch(client, host, "true")
    touch(gate)
    assert run.wait()["status"] == "succeeded"


def test_nobody_saw_the_end(client: Client, host: Host, gate: str, repo: Repo) -> None:
    """Supervisor and wrapper killed: lost, and only once the command has ended, though it
    returned 0."""
    run = gated(client, host, gate)
    follower = Follower(run, repo)
    follower.start()
    kill(run.supervisor(), run.wrapper())
    assert run.row()["status"] == "running"
    with pytest.raises(dobby.Busy, match="is running since"):
        launch(client, host, "true")
    touch(gate)
    row = follower.result()
    assert (row["status"], row["exit_code"]) == ("lost", None)
    assert row["cause"] == {"kind": "supervisor_killed"}
    assert not is_alive(run.pids()[0])
    assert launch(client, host, "true").wait()["status"] == "succeeded"


def test_a_killed_wrapper_alone(client: Client, host: Host, gate: str) -> None:
    run = gated(client, host, gate)
    kill(run.wrapper())
    assert run.row()["status"] == "running"
    touch(gate)
    row = run.wait()
    assert (row["status"], row["cause"]["kind"]) == ("lost", "supervisor_killed")
    assert launch(client, host, "true").wait()["status"] == "succeeded"


def test_the_timeout_holds_without_a_wrapper(client: Client, host: Host, gate: str) -> None:
    run = gated(client, host, gate, timeout="1s", grace="0.2s")
    kill(run.wrapper())
    row = run.wait()
    assert (row["status"], row["cause"]) == ("timed_out", {"kind": "timeout", "timeout_s": 1.0})
    assert not is_alive(run.pids()[0])


def test_what_holds_no_lock_still_keeps_the_next_run_waiting(client: Client, host: Host, gate: str) -> None:
    """Supervisor and wrapper are gone, and the command has closed all that it inherited."""
    code = (
        "import os, select\n"
        "with open(os.environ['DOBBY_OUTPUTS'] + '/pids', 'w') as file: print(os.getpid(), file=file)\n"
        f"os.closerange(0, 64)\nwhile not os.path.exists({gate!r}): select.select([], [], [], 0.02)"
    )
    run = launch(client, host, f'exec python3 -c "{code}"')
    run.pids()
    kill(run.supervisor(), run.wrapper())
    with pytest.raises(dobby.Busy, match=f"run {run.run.run_id} is running since"):
        launch(client, host, "true")
    queued = launch(client, host, "true", if_running="queue")
    assert queued.row()["status"] == "queued"
    touch(gate)
    assert queued.wait()["status"] == "succeeded"
    assert run.row()["status"] == "lost"


def test_a_supervisor_killed_while_it_prepares(client: Client, host: Host) -> None:
    pid_file = f"{host.home}/setup.pid"
    run = launch(client, host, "true", setup=f"echo $$ > {pid_file}; exec sleep 300")
    until(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file))
    with open(pid_file) as file:
        step = int(file.read())
    kill(run.supervisor())
    until(lambda: run.row()["status"] == "lost", evidence=run.row)  # by us, or by the steward
    row = run.row()
    assert row["started_at"] is None
    assert row["cause"] == {"kind": "supervisor_killed"}
    assert not is_alive(step)


def test_the_next_run_ends_the_steps_of_a_dead_preparation(client: Client, host: Host) -> None:
    """Nobody has looked since: the label is free, the step of the dead supervisor still runs."""
    pid_file = f"{host.home}/setup.pid"
    run = launch(client, host, "true", setup=f"echo $$ > {pid_file}; exec sleep 300")
    until(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file))
    with open(pid_file) as file:
        step = int(file.read())
    kill_unseen(host, run.supervisor())
    assert is_alive(step)
    assert launch(client, host, "true").wait()["status"] == "succeeded"
    assert not is_alive(step)
    assert run.row()["status"] == "lost"


# --- the queue ------------------------------------------------------------------------------


def test_a_killed_waiter_lets_those_behind_it_through(client: Client, host: Host, gate: str) -> None:
    first = gated(client, host, gate)
    second, third = (launch(client, host, "true", if_running="queue") for _ in range(2))
    kill(second.supervisor())
    until(lambda: second.row()["status"] == "lost")  # the third may just have it in hand
    assert third.row()["status"] == "queued"
    touch(gate)
    assert third.wait()["status"] == "succeeded"
    assert first.row()["status"] == "succeeded"


def test_a_waiter_waits_for_the_command_not_for_its_supervisor(
    client: Client, host: Host, gate: str
) -> None:
    first = gated(client, host, gate, 5)
    second = launch(client, host, f"[ ! -e {first.root}/final.json ] || echo after", if_running="queue")
    kill(first.supervisor())
    assert (first.row()["status"], second.row()["status"]) == ("running", "queued")
    assert is_alive(second.supervisor())
    touch(gate)
    assert second.wait()["status"] == "succeeded"
    assert first.row()["exit_code"] == 5
    with open(f"{second.root}/output.log") as file:
        assert file.read().endswith("after\n")


# --- a host that was restarted -----------------------------------------------------------------


def _end_all(run: Carried) -> None:
    kill_unseen(run.host, run.supervisor(), run.wrapper(), *run.pids())


def test_another_boot_in_the_record(client: Client, host: Host, gate: str) -> None:
    run = gated(client, host, gate)
    _end_all(run)
    path = f"{run.root}/events.jsonl"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace(f'"boot":"{_boot_id()}"', '"boot":"another"'))
    row = run.row()
    assert (row["status"], row["cause"]) == ("lost", {"kind": "rebooted"})


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_another_boot_of_the_kernel(client: Client, host: Host, gate: str, repo: Repo) -> None:
    run = gated(client, host, gate)
    _end_all(run)
    fake = f"{host.home}/boot_id"
    with open(fake, "w") as file:
        file.write("11111111-2222-3333-4444-555555555555\n")
    ask = "import json; from dobby import Client; print(json.dumps(Client().ps(host='local').runs))"
    mount = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" -c "$3"'
    said = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", fake, sys.executable, ask],
        cwd=repo.path,
        stdout=subprocess.PIPE,
        check=True,
    )
    row = json.loads(said.stdout)[0]
    assert (row["status"], row["cause"]) == ("lost", {"kind": "rebooted"})
    assert run.row()["status"] == "lost"


def test_a_run_of_another_machine_is_not_judged(client: Client, host: Host, gate: str) -> None:
    """Homes are shared: what another login node carries is shown, not settled, not stopped."""
    run = gated(client, host, gate)
    path = f"{run.root}/events.jsonl"
    with open(path) as file:
        text = file.read()
    node = os.uname().nodename
    with open(path, "w") as file:
        file.write(
            text.replace(f'/{node}"', '/login2"').replace(f'"machine":"{node}"', '"machine":"/login2"')
        )
    kill(run.supervisor())
    row = run.row()
    assert (row["status"], row["note"]) == ("running", "on login2, not judged from here")
    with pytest.raises(dobby.DobbyError, match="is on login2, and can only be stopped there"):
        run.stop()
    assert is_alive(run.pids()[0])
    with open(path, "w") as file:
        file.write(text)
    assert run.stop()["status"] == "stopped"


# --- quiet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_nothing_wakes_while_the_job_is_silent(client: Client, host: Host, gate: str, repo: Repo) -> None:
    run = gated(client, host, gate)
    run.await_event("started")
    follower = Follower(run, repo)
    follower.start()
    carriers = [run.supervisor(), run.wrapper()]
    seen: list[dict[int, int]] = []

    def all_still() -> bool:
        """A second in which the same three were there, and none was given a processor."""
        seen[:] = [_switches([*carriers, *_agents_of(os.getpid())])]
        threading.Event().wait(1.0)
        seen.append(_switches([*carriers, *_agents_of(os.getpid())]))
        return len(seen[0]) == 3 and seen[0] == seen[1]

    until(all_still, 6, evidence=lambda: seen)
    touch(gate)
    assert follower.result()["status"] == "succeeded"


def _agents_of(parent: int) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                head, _, tail = file.read().rpartition(")")
        except OSError:
            continue
        if int(tail.split()[1]) == parent and head.endswith("(dobby-agent"):
            found.append(int(name))
    return found


def _switches(pids: list[int]) -> dict[int, int]:
    """How often each process was given a processor (proc_pid_status(5))."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
            found[pid] = sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    return found
