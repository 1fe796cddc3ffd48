"""One steward where there is something to do, none where there is nothing, on every Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import pythons
from tests.client.carried import is_alive
from tests.stewards import end as end_steward
from tests.wait import until

from dobby.agent import clock, locks, outbox, stewards
from dobby.agent.tracked import TOGETHER_S, Tracked
from dobby.core import layout

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


@pytest.fixture
def run(home: str) -> layout.Run:
    """A run whose directory no version can read: a steward leaves its marker alone."""
    run = layout.Run(home=home, project="p", label="l", run_id="r")
    os.makedirs(run.root)
    Path(run.request).write_text("{}")
    return run


@pytest.fixture
def ended(home: str) -> Iterator[None]:
    yield
    end_steward(home)
    until(lambda: not locks.is_held(stewards.lock_of(home)), 20)


ENSURE = """
import sys
sys.path.insert(0, sys.argv[1])
from dobby.agent import locks, stewards
if len(sys.argv) > 3:
    assert locks.take(sys.argv[3], wait=False) is not None
stewards.ensure(sys.argv[2])
"""


def begin(home: str, *more: str, python: str = sys.executable) -> subprocess.Popen[bytes]:
    """A process that ensures a steward, and holds a lock at `more` meanwhile."""
    argv = [python, "-I", "-S", "-B", "-W", "error", "-c", ENSURE, str(SOURCE), home, *more]
    return subprocess.Popen(argv, cwd="/")


def ensure(home: str, *more: str, python: str = sys.executable) -> None:
    assert begin(home, *more, python=python).wait(30) == 0


def pid_of(home: str) -> int:
    return int(json.loads(Path(stewards.lock_of(home)).read_text())["pid"])


def test_nothing_to_do(home: str) -> None:
    assert outbox.is_empty(home)
    assert not stewards.is_needed(home)
    stewards.ensure(home)
    stewards.call(home)
    assert not os.path.exists(stewards.lock_of(home))


@pytest.mark.usefixtures("ended")
def test_it_lives_when_ensure_returns(home: str, run: layout.Run) -> None:
    outbox.add(run)
    outbox.add(run)
    assert outbox.runs(home) == [run]
    assert stewards.is_needed(home)
    stewards.ensure(home)
    assert locks.is_held(stewards.lock_of(home))
    assert is_alive(pid_of(home))
    assert not stewards.is_needed(home)
    assert os.path.exists(run.marker)


def test_a_marker_of_another_machine(home: str, run: layout.Run) -> None:
    outbox.add(run)
    Path(run.marker).write_text("feed/login2")
    Path(layout.outbox(home), "strange").touch()
    assert outbox.runs(home) == []
    assert not stewards.is_needed(home)


@pytest.mark.usefixtures("ended")
def test_a_run_that_is_gone_needs_nobody(home: str) -> None:
    run = layout.Run(home=home, project="p", label="l", run_id="r")
    outbox.add(run)
    ensure(home)
    until(lambda: outbox.is_empty(home))


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize("version", pythons.found())
def test_on_every_python(home: str, run: layout.Run, version: str) -> None:
    outbox.add(run)
    ensure(home, python=pythons.found()[version])
    with open(f"/proc/{pid_of(home)}/comm") as file:
        assert file.read() == "dobby-steward\n"
    end_steward(home)
    until(lambda: not locks.is_held(stewards.lock_of(home)), 20)
    assert Path(layout.steward_trouble(home, clock.machine_id())).read_text().count("\n") == 1


@pytest.mark.usefixtures("ended")
def test_nothing_of_who_starts_it_is_held_open(home: str, run: layout.Run, tmp_path: Path) -> None:
    """A label's lock above all, and the connection."""
    outbox.add(run)
    lock = str(tmp_path / "lock")
    ensure(home, lock)
    assert os.path.exists(lock)
    assert not locks.is_held(lock)
    places = [os.readlink(f"/proc/{pid_of(home)}/fd/{n}") for n in (0, 1, 2)]
    assert places[:2] == [os.devnull] * 2
    assert places[2].startswith(home)


@pytest.mark.usefixtures("ended")
def test_one_of_many_at_once(home: str, run: layout.Run) -> None:
    outbox.add(run)
    started = [begin(home) for _ in range(6)]
    assert [process.wait(30) for process in started] == [0] * 6
    until(lambda: stewards_of(home) == [pid_of(home)], evidence=lambda: stewards_of(home))


def stewards_of(home: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/fd/2").startswith(f"{home}/steward."):
                found.append(int(name))
        except OSError:
            continue
    return found


def test_what_is_written_together_is_taken_in_by_one_look(run: layout.Run) -> None:
    one = Tracked(run, [-1])
    one.changed()
    assert one.look_at == 0.0  # it has not been seen at all: at once
    one.look_at, before = None, time.monotonic()
    one.changed()
    due = one.look_at
    one.changed()
    assert due is not None
    assert before < due == one.look_at < time.monotonic() + TOGETHER_S
