"""A run's own cgroup, where it was started in a scope of its own: nothing escapes from one.

    dobby-<run id>.scope/carriers   supervisor and wrapper
    dobby-<run id>.scope/job        the command and all that it starts

Version 2 alone (cgroups(7), the kernel's admin-guide/cgroup-v2). Whatever fails here is done
without: it only makes certain what members.py finds out by other means.
"""

from __future__ import annotations

import os

MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def divide(run_id: str) -> str:
    """Move this process into `carriers`, so that `job` can be ended without it. The directory of
    `job`, "" where this process is in no scope of the run's own."""
    scope = _own()
    if os.path.basename(scope) != f"dobby-{run_id}.scope":
        return ""
    try:
        for name in ("carriers", "job"):
            os.makedirs(f"{scope}/{name}", 0o755, exist_ok=True)
        _write(f"{scope}/carriers/cgroup.procs", "0")
    except OSError:
        return ""
    try:
        _write(f"{scope}/cgroup.subtree_control", "+memory")
    except OSError:  # no such controller, or not ours to give: then no proof of out of memory
        return f"{scope}/job"
    return f"{scope}/job"


def _own() -> str:
    """The directory of the cgroup that this process is in, "" where there is none."""
    try:
        with open("/proc/self/cgroup") as file:
            path = next(line[3:].rstrip("\n") for line in file if line.startswith("0::"))
    except (OSError, StopIteration):
        return ""
    return next((m + path for m in MOUNTS if os.path.exists(f"{m}{path}/cgroup.procs")), "")


def enter(cgroup: str) -> None:
    """Move this process into `cgroup`; what it forks from now on is in it too."""
    _write(f"{cgroup}/cgroup.procs", "0")


def processes(cgroup: str) -> set[int]:
    """The pids in a cgroup and those that a job has made below it; empty where it is gone."""
    found: set[int] = set()
    for folder, _, files in os.walk(cgroup):
        if "cgroup.procs" in files:
            try:
                with open(f"{folder}/cgroup.procs") as file:
                    found.update(map(int, file))
            except OSError:  # removed this instant, or threaded: then its processes are listed above
                continue
    return found


def kill(cgroup: str) -> bool:
    """SIGKILL to all in it and below, forks included, in one stroke; False where the kernel
    cannot (before 5.14)."""
    try:
        _write(f"{cgroup}/cgroup.kill", "1")
    except OSError:
        return False
    return True


def was_out_of_memory(cgroup: str) -> bool:
    """Whether the kernel killed a process in it because memory ran out."""
    try:
        with open(f"{cgroup}/memory.events") as file:
            counts = dict(line.split() for line in file)
    except (OSError, ValueError):
        return False
    return counts.get("oom_kill", "0") != "0"


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
