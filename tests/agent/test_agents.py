"""Agents that nobody uses any more go."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.wait import until

from dobby.agent import agents, outbox, processes
from dobby.core import layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Seven agents, "0" the oldest; we are "3". The last three were used today."""
    for number in range(7):
        place = tmp_path / "agent" / (str(number) * 64)
        place.mkdir(parents=True)
        (place / "main.py").write_text("")
        unused_s = 40 * 86400 - number if number < 4 else 10 - number
        os.utime(place, (time.time() - unused_s,) * 2)
    monkeypatch.setattr(agents, "here", lambda: f"{tmp_path}/agent/{'3' * 64}")
    return str(tmp_path)


def left(home: str) -> str:
    return "".join(sorted(name[0] for name in os.listdir(f"{home}/agent")))


def test_what_nobody_has_used_for_long(home: str) -> None:
    assert sorted(agents.sweep(home)) == [digit * 64 for digit in "012"]
    assert left(home) == "3456"  # ours is in use, whatever its date was


def test_what_carries_a_process_stays(home: str) -> None:
    words = ["sh", "-c", "read x", f"{home}/agent/{'1' * 64}/main.py"]
    user = subprocess.Popen(words, stdin=subprocess.PIPE)
    until(lambda: any(b"1" * 64 in line for line in processes.command_lines()))
    agents.sweep(home)
    user.communicate()
    assert left(home) == "13456"


def test_where_another_machine_has_runs_nothing_can_be_told(home: str) -> None:
    run = layout.Run(home=home, project="p", label="l", run_id="r")
    outbox.add(run)
    with open(run.marker, "w") as file:
        file.write("another machine")
    assert agents.sweep(home) == []
    outbox.remove(run)
    assert len(agents.sweep(home)) == 3
