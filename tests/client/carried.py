"""A run under test, with its processes and files: the test hosts are all this very machine."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.wait import until

if TYPE_CHECKING:
    from tests.conftest import Host

    import dobby
    from dobby import Client


class Carried:
    """One launched run."""

    def __init__(self, client: Client, host: Host, run: dobby.Run) -> None:
        self.client, self.host, self.run = client, host, run
        self.job = f"{host.home}/projects/{run.project}/jobs/{run.label}"
        self.root = f"{self.job}/runs/{run.run_id}"

    def row(self) -> dict[str, Any]:
        """The run as a list shows it: settled, if it has to be."""
        rows = self.client.ps(all=True, host=self.host.name).runs
        return next(row for row in rows if row["run_id"] == self.run.run_id)

    def wait(self) -> dict[str, Any]:
        return self.client.wait(self.run.label, host=self.host.name, run=self.run.run_id)

    def stop(self, **options: Any) -> dict[str, Any]:
        return self.client.stop(self.run.label, host=self.host.name, run=self.run.run_id, **options)

    def events(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError), open(f"{self.root}/events.jsonl") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
        return []

    def await_event(self, kind: str) -> dict[str, Any]:
        """The first event of this kind, as soon as there is one."""
        until(lambda: any(e["kind"] == kind for e in self.events()), 20, evidence=self.events)
        return next(e for e in self.events() if e["kind"] == kind)

    def supervisor(self) -> int:
        return int(next(e for e in reversed(self.events()) if "supervisor" in e)["supervisor"]["pid"])

    def wrapper(self) -> int:
        return int(self.await_event("started")["wrapper"]["pid"])

    def outputs(self, name: str) -> str:
        return f"{self.root}/outputs/{name}"

    def pids(self, name: str = "pids", least: int = 1) -> list[int]:
        """What the job wrote into a file of its outputs, one pid a line, once there are enough."""

        def read() -> list[int]:
            with contextlib.suppress(FileNotFoundError), open(self.outputs(name)) as file:
                found = [int(line) for line in file if line.endswith("\n")]
                return found if len(found) >= least else []
            return []

        return until(read, 20, evidence=self.row)


def launch(client: Client, host: Host, command: str, revision: str = "main", **options: Any) -> Carried:
    """Launch with no environment to build."""
    options = {"host": host.name, "environment": ("none",), **options}
    return Carried(client, host, client.run(revision, command, **options))


def until_open(gate: str) -> str:
    """Shell words that wait until the file `gate` is there."""
    return f"until [ -e {gate} ]; do sleep 0.02; done"


def kill(*pids: int) -> None:
    """SIGKILL, and wait until they are gone."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        await_gone(pid)


def steward(host: Host) -> int:
    """The pid of the host's steward, living or dead; 0 where there was none yet."""
    for path in glob.glob(f"{host.home}/steward.*.lock"):
        with open(path) as file, contextlib.suppress(ValueError, KeyError):
            return int(json.load(file)["pid"])
    return 0


def kill_unseen(host: Host, *pids: int) -> None:
    """SIGKILL, with the steward: nobody is left who could settle or tell anything."""
    watcher = steward(host)
    if is_alive(watcher):
        os.kill(watcher, signal.SIGSTOP)  # dead at once, a supervisor would have another one started
        kill(*pids, watcher)
    else:
        kill(*pids)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; a zombie is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def await_gone(*pids: int) -> None:
    until(lambda: not any(map(is_alive, pids)), 10, evidence=lambda: [p for p in pids if is_alive(p)])


def touch(path: str) -> None:
    with open(path, "a"):
        os.utime(path)
