"""What a follower sends at one look, where the run goes on between its steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests import planted

from dobby.agent import locks, rows
from dobby.agent.main import Call
from dobby.agent.verbs import follow
from dobby.agent.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Heard(Wire):
    """Keeps what is sent: (kind, bytes)."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, bytes]] = []

    def reply(self, kind: str, payload: bytes) -> None:
        self.replies.append((kind, payload))


def test_a_command_that_starts_between_two_looks_has_cut_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set-up has written, and the command was started, after the log had been measured."""
    run = planted.final_run(str(tmp_path), "etl", 1)
    os.unlink(run.final)
    os.truncate(run.log, 0)
    with open(run.events) as file:
        *before, started = file.readlines()
    with open(run.events, "w") as file:
        file.writelines(before)
    look, wire = rows.look, Heard()

    def later(*args: Any) -> Any:
        if wire.replies:  # it follows already
            with open(run.log, "w") as log, open(run.events, "w") as events:
                log.write("s" * 31 + "the job's\n")
                events.writelines([*before, started])
        return look(*args)

    monkeypatch.setattr(rows, "look", later)
    held = locks.take(run.lock, wait=False)  # a supervisor carries it
    assert held is not None
    which = {"project": run.project, "label": run.label, "run": run.run_id}
    try:
        follow.run(
            Call(home=str(tmp_path), args={**which, "offset": 0}, attached=b"", wire=wire, umask=0o022)
        )
    finally:
        locks.release(held)
    sent = [(kind, payload) for kind, payload in wire.replies if kind in ("setup", "data", "say")]
    assert sent == [("setup", b"s" * 31), ("data", b"the job's\n")]
