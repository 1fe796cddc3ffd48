"""Supervisors that are killed at any moment: every run that was acknowledged comes to one end."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tests.client.carried import kill
from tests.wait import until

from campaign.frame import Experiment
from campaign.lab import RAN

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from campaign.frame import Tally
    from campaign.lab import Lab

CODE = 7
LABELS = 8
LONGEST_WAIT_S = 0.3  # the whole life of such a run, from its acknowledgement to its end


def kills(lab: Lab, tally: Tally) -> None:
    """While it prepares, starts the command, waits for it, concludes. The command's real exit is
    what is recorded; a run whose command never started is lost."""
    client = lab.client()
    ends: dict[str, bytes] = {}

    def one(number: int, chance: random.Random) -> None:
        run_id, label = f"r{number}", f"job{number % LABELS}"
        command = f"{RAN}; sleep {chance.uniform(0, 0.1):.3f}; exit {CODE}"
        run = lab.launch(client, command, run_id, label=label, if_running="queue")
        pidfd = os.pidfd_open(run.supervisor()) if _is_carried(run.supervisor()) else None
        until(_after(chance.uniform(0, LONGEST_WAIT_S)))
        if pidfd is not None:
            _kill(pidfd)
        state = lab.final(label, run_id)
        with open(f"{run.root}/final.json", "rb") as file:
            ends[f"{run.root}/final.json"] = file.read()
        wrong = _what_is_wrong(state, lab.ran()[run_id])
        if wrong:
            tally.failed(f"{run_id}: {wrong}: {state}")

    tally.spread(one, LABELS)
    for path, before in ends.items():
        with open(path, "rb") as file:
            if file.read() != before:
                tally.failed(f"{path} has changed after the end")
    for torn in lab.torn():
        tally.failed(torn)


def _what_is_wrong(state: dict[str, object], started: int) -> str:
    cause = state["cause"]
    assert isinstance(cause, dict)
    if state["status"] == "failed" and cause == {"kind": "exit", "code": CODE}:
        return "" if started == 1 else f"it ended by itself, and was started {started} times"
    if state["status"] == "lost" and cause["kind"] == "supervisor_killed":
        return "" if started == 0 else "its command ended, and its exit is not known"
    return "no such end is possible"


def _after(seconds: float) -> Callable[[], bool]:
    due = time.monotonic() + seconds
    return lambda: time.monotonic() > due


def _is_carried(pid: int) -> bool:
    """A supervisor may have ended by now, and its pid be another's."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "dobby-run"
    except OSError:
        return False


def _kill(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def deaths(lab: Lab, tally: Tally) -> None:
    """Supervisor, wrapper and command are killed; nobody asks. How long until the run is lost."""
    client = lab.client()

    def one(number: int, chance: random.Random) -> None:
        run_id, label = f"r{number}", f"job{number % LABELS}"
        command = "echo $$ > $DOBBY_OUTPUTS/pids; exec sleep 300"
        run = lab.launch(client, command, run_id, label=label, if_running="queue")
        (command_pid,) = run.pids()
        until(_after(chance.uniform(0, 0.1)))
        kill(run.supervisor(), run.wrapper(), command_pid)
        gone = time.monotonic()
        state = lab.final(label, run_id)
        tally.took(time.monotonic() - gone)
        if (state["status"], state["cause"]["kind"]) != ("lost", "supervisor_killed"):
            tally.failed(f"{run_id}: {state}")

    tally.spread(one, 2)


EXPERIMENTS = (
    Experiment("supervisors-killed", 500, 24, kills),
    Experiment("deaths-seen", 100, 10, deaths, most_s=2.0),
)
