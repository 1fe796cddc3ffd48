"""Launching and looking at runs in tests of the link: small jobs, no environment."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import Host

    import dobby
    from dobby import Client


def launch(client: Client, host: Host, command: str, revision: str = "main", **options: Any) -> dobby.Run:
    return client.run(revision, command, **{"host": host.name, "environment": ("none",), **options})


def output(client: Client, run: dobby.Run) -> tuple[dict[str, Any], bytes]:
    """The final row of a run and its job's bytes."""
    said = bytearray()
    row = client.logs(run.label, said.extend, host=run.host, run=run.run_id, follow=True)
    return row, bytes(said)


def finished(client: Client, host: Host, command: str, **options: Any) -> tuple[dict[str, Any], bytes]:
    return output(client, launch(client, host, command, **options))


def run_ids(client: Client, host: Host) -> list[str]:
    return sorted(str(row["run_id"]) for row in client.ps(all=True, host=host.name).runs)


def agents(host: Host) -> list[str]:
    """Directories of installed agents on the host."""
    base = f"{host.home}/agent"
    return [f"{base}/{name}" for name in sorted(os.listdir(base))] if os.path.isdir(base) else []


def doctor(host: Host, module: str, text: str) -> None:
    """Append `text` to a module of every agent on the host, unnoticed by its check: faults that
    no signal from outside can time. Remove the agents afterwards."""
    for agent in agents(host):
        path = f"{agent}/dobby/{module}"
        made = os.stat(path).st_mtime
        with open(path, "a") as file:
            file.write(f"\n{text}")
        os.utime(path, (made, made))
        for bundle in glob.glob(f"{agent}/modules.*"):  # then the modules themselves are read
            os.unlink(bundle)


def remove_agents(host: Host) -> None:
    for agent in agents(host):
        shutil.rmtree(agent)


def masters(runtime: str) -> list[int]:
    """ssh's masters whose socket lies in this runtime directory."""
    found = subprocess.run(
        ["pgrep", "-f", f"ControlPath={runtime}/.* -N "], capture_output=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def at_work(host: Host) -> list[str]:
    """Pids of the agents that serve a verb on this host; other tests' are on this machine too."""
    listed = host.run(["pgrep", "-x", "-a", "dobby-agent"], check=False).decode("utf-8", "replace")
    return [line.split()[0] for line in listed.splitlines() if f" {host.home} " in line]
