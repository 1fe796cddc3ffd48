"""`max_running`: how many runs are at work at once on a host, and whose turn it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, await_gone, kill, kill_unseen, launch, touch, until_open
from tests.wait import until

import dobby
from dobby import Client
from dobby.views.table import status_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Host
    from tests.gitrepo import Repo

    Allow = Callable[[int | str], None]

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def allow(host: Host) -> Allow:
    """`allow(2)` sets the host's max_running, as an editor does: beside it, then renamed."""

    def write(number: int | str) -> None:
        program = (
            f'mkdir -p "$1" && echo "max_running = {number}" > "$1/new" && mv "$1/new" "$1/config.toml"'
        )
        host.run(["sh", "-c", program, "sh", host.home])

    return write


def shown(run: Carried) -> str:
    return status_text(run.row())


def await_shown(run: Carried, text: str) -> None:
    until(lambda: shown(run) == text, 20, evidence=run.row)


def test_first_come_first_served(client: Client, host: Host, allow: Allow) -> None:
    allow(1)
    gate = f"{host.home}/gate"
    first = launch(client, host, until_open(gate), label="a")
    others = [launch(client, host, f"echo {n} >> {host.home}/order", label=f"b{n}") for n in range(4)]
    assert [shown(run) for run in others] == [
        f"queued ({place}, max_running = 1)" for place in ("1st", "2nd", "3rd", "4th")
    ]
    assert others[2].row()["queue_position"] == 3
    touch_there(host, gate)
    for run in (first, *others):
        assert run.wait()["status"] == "succeeded"
    assert host.run(["cat", f"{host.home}/order"]) == b"0\n1\n2\n3\n"
    row = others[-1].row()
    assert (row["queue_position"], row["max_running"]) == (None, None)


def touch_there(host: Host, path: str) -> None:
    host.run(["touch", path])


@LOCAL
def test_never_more_than_may(client: Client, host: Host, allow: Allow) -> None:
    allow(2)
    counted = "echo + >> $F; sleep 0.05; grep -c . $F; echo - >> $F"
    runs = [launch(client, host, f"F={host.home}/c; {counted}", label=f"j{n}") for n in range(8)]
    for run in runs:
        assert run.wait()["status"] == "succeeded"
    with open(f"{host.home}/c") as file:
        alive, most = 0, 0
        for line in file:
            alive += 1 if line == "+\n" else -1
            most = max(most, alive)
    assert most <= 2
    until(lambda: not _tickets(host), evidence=lambda: _tickets(host))


def _tickets(host: Host) -> list[str]:
    (place,) = (name for name in os.listdir(host.home) if name.startswith("slots."))
    top = f"{host.home}/{place}"
    return [*os.listdir(f"{top}/waiting"), *os.listdir(f"{top}/running")]


@LOCAL
def test_a_queued_run_is_stopped_at_once(client: Client, host: Host, allow: Allow) -> None:
    allow(1)
    gate = f"{host.home}/gate"
    first = launch(client, host, until_open(gate), label="a")
    second, third, fourth = (launch(client, host, "true", label=label) for label in "bcd")
    with pytest.raises(dobby.Busy, match=f"{second.run.run_id} is queued"):
        launch(client, host, "true", label="b")
    assert third.stop()["status"] == "stopped"
    assert shown(fourth) == "queued (2nd, max_running = 1)"
    assert second.stop()["status"] == "stopped"
    assert shown(fourth) == "queued (1st, max_running = 1)"
    assert fourth.stop()["status"] == "stopped"
    touch(gate)
    assert first.wait()["status"] == "succeeded"


@LOCAL
def test_the_dead_are_out_of_the_order(client: Client, host: Host, allow: Allow) -> None:
    allow(1)
    gate = f"{host.home}/gate"
    first = launch(client, host, f"echo $$ > $DOBBY_OUTPUTS/pids; {until_open(gate)}", label="a")
    second, third, fourth = (launch(client, host, "true", label=label) for label in "bcd")
    first.pids()
    kill(second.supervisor())  # the next: those behind it move up
    await_shown(fourth, "queued (2nd, max_running = 1)")
    kill(first.supervisor())  # its command lives, and so does its slot
    until(lambda: second.row()["status"] == "lost")  # the steward may just have it in hand
    assert first.row()["status"] == "running"
    assert third.row()["status"] == "queued"
    touch(gate)
    assert third.wait()["status"] == fourth.wait()["status"] == first.wait()["status"] == "succeeded"


@LOCAL
def test_a_slot_ends_with_all_who_held_it(client: Client, host: Host, allow: Allow) -> None:
    allow(1)
    first = launch(client, host, "echo $$ > $DOBBY_OUTPUTS/pids; exec sleep 300", label="a")
    second = launch(client, host, "true", label="b")
    pids = first.pids()
    kill_unseen(host, first.supervisor(), first.wrapper(), *pids)
    await_gone(*pids)
    assert second.wait()["status"] == "succeeded"


@LOCAL
def test_another_number_counts_at_once(client: Client, host: Host, allow: Allow) -> None:
    allow(1)
    gate = f"{host.home}/gate"
    runs = [launch(client, host, until_open(gate), label=f"j{n}") for n in range(5)]
    assert [run.row()["status"] for run in runs[1:]] == ["queued"] * 4
    allow('"many"')  # a slip: what it said before holds
    allow(3)
    runs[2].await_event("started")
    assert [run.row()["status"] for run in runs[3:]] == ["queued"] * 2
    late = launch(client, host, "true", label="late")
    assert shown(late) == "queued (3rd, max_running = 3)"
    host.run(["rm", f"{host.home}/config.toml"])
    assert late.wait()["status"] == "succeeded"
    touch(gate)
    for run in runs:
        assert run.wait()["status"] == "succeeded"


@LOCAL
def test_nought_lets_nothing_start(client: Client, host: Host, allow: Allow) -> None:
    allow(0)
    run = launch(client, host, "true")
    assert shown(run) == "queued (1st, max_running = 0)"
    allow(1)
    assert run.wait()["status"] == "succeeded"


@LOCAL
def test_lowered_it_ends_nothing(client: Client, host: Host, allow: Allow) -> None:
    gates = [f"{host.home}/gate{n}" for n in range(3)]
    runs = [launch(client, host, until_open(gate), label=gate[-1]) for gate in gates]  # no limit yet
    runs[2].await_event("started")
    allow(2)
    late = launch(client, host, "true", label="late")
    touch(gates[0])
    runs[0].wait()
    assert late.row()["status"] == "queued"
    touch(gates[1])
    assert late.wait()["status"] == "succeeded"
    touch(gates[2])
    runs[2].wait()


@LOCAL
def test_behind_its_label_then_in_line(client: Client, host: Host, allow: Allow) -> None:
    """A run keeps the place in which it came, though its label was held meanwhile."""
    allow(1)
    gate, order = f"{host.home}/gate", f"{host.home}/order"
    first = launch(client, host, until_open(gate), label="a")
    second = launch(client, host, f"echo a2 >> {order}", label="a", if_running="queue")
    other = launch(client, host, f"echo b1 >> {order}; {until_open(gate + '2')}", label="b")
    last = launch(client, host, f"echo c1 >> {order}", label="c")
    assert shown(second) == f"queued (behind {first.run.run_id})"
    touch(gate)
    touch(f"{gate}2")
    for run in (first, second, other, last):
        assert run.wait()["status"] == "succeeded"
    with open(order) as file:
        said = file.read().split()
    assert said.index("a2") < said.index("c1")
    assert said.index("b1") < said.index("c1")
