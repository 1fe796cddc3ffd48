"""The host's wall clock jumps by hours while a run lives: durations do not."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, is_alive, kill_unseen, launch, touch, until_open
from tests.wait import until

import dobby
from dobby import Client, shipping

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

SOURCE = Path(dobby.__file__).parent
JUMPY = """

def _told():
    with open({path!r}) as file:
        return int(file.read())


_true_time_ns = time.time_ns
time.time_ns = lambda: _true_time_ns() + _told() * 10**9
time.time = lambda: time.time_ns() / 1e9
"""

pytestmark = pytest.mark.parametrize("host", ["local"], indirect=True)


class Clock:
    """The wall clock of all agents, supervisors and wrappers of this test: as far ahead as is set."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = directory / "ahead_s"
        self.set(0)
        altered = directory / "altered"
        shutil.copytree(SOURCE, altered, ignore=shutil.ignore_patterns("__pycache__"))
        with open(altered / "agent" / "clock.py", "a") as file:
            file.write(JUMPY.format(path=str(self._file)))
        monkeypatch.setattr(shipping, "_here", lambda: str(altered))

    def set(self, ahead_s: int) -> None:
        temp = self._file.with_suffix(".new")
        temp.write_text(str(ahead_s))
        temp.rename(self._file)


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(tmp_path, monkeypatch)


def year(run: Carried) -> int:
    """In which year the host believes to be, by the run's last event."""
    return int(run.events()[-1]["at"][:4])


def test_the_clock_is_another(client: Client, host: Host, clock: Clock) -> None:
    """Or the tests below would prove nothing."""
    clock.set(10 * 366 * 86400)
    run = launch(client, host, "true")
    run.wait()
    assert year(run) == time.gmtime().tm_year + 10


@pytest.mark.parametrize("jump", [3600, -7200])
def test_a_timeout_and_a_grace_keep_their_length(
    client: Client, host: Host, clock: Clock, jump: int
) -> None:
    """The clock jumps while the timeout runs, and again while the grace does."""
    mark = "touch $DOBBY_OUTPUTS/asked"
    deaf = f"trap '{mark}' INT; echo $$ > $DOBBY_OUTPUTS/pids; while :; do sleep 0.1; done"
    run = launch(client, host, deaf, timeout="1.5s", grace="1.5s")
    run.pids()
    clock.set(jump)
    began = time.monotonic()
    assert run.row()["status"] == "running"
    until(lambda: os.path.exists(run.outputs("asked")), 10)
    clock.set(2 * jump)
    row = run.wait()
    assert row["status"] == "timed_out"
    assert time.monotonic() - began < 8
    assert 3.0 <= row["duration_s"] < 8


def test_a_run_that_nobody_carries_is_still_alive(client: Client, host: Host, clock: Clock) -> None:
    """Its timeout, which whoever looks sees to, is not over, and its command's time is right: the wrapper
    has measured it."""
    gate = f"{host.home}/gate"
    run = launch(client, host, f"echo $$ > $DOBBY_OUTPUTS/pids; {until_open(gate)}", timeout="1h")
    run.pids()
    for jump in (-7200, 7200):
        clock.set(jump)
        kill_unseen(host, *filter(is_alive, [run.supervisor()]))
        assert run.row()["status"] == "running"
    touch(gate)
    row = run.wait()
    assert row["status"] == "succeeded"
    assert 0 <= row["duration_s"] < 20


def test_a_stop_after_a_jump_counts(client: Client, host: Host, clock: Clock) -> None:
    """Whether a stop came before the end is not told by two readings of a clock."""
    run = launch(
        client, host, "trap 'exit 0' INT; echo $$ > $DOBBY_OUTPUTS/pids; while :; do sleep 0.05; done"
    )
    run.pids()
    clock.set(7200)
    assert run.stop()["status"] == "stopped"
