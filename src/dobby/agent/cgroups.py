"""A run's own cgroup, where it was started in a scope of its own: nothing escapes from one.

    dobby-<run id>.scope/carriers   supervisor and wrapper
    dobby-<run id>.scope/job        the command and all that it starts

That is version 2 (cgroups(7), the kernel's admin-guide/cgroup-v2). Whatever fails there is done
without: it only makes certain what members.py finds out by other means. Limits (limits.py) may
need a cgroup elsewhere, also of version 1 (admin-guide/cgroup-v1): `dobby-<run id>` below our own.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

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


# --- limits, and what was used -------------------------------------------------------------------


def parents(wanted: Sequence[str]) -> Optional[dict[str, str]]:
    """For each controller the directory in which this account may make a cgroup that has it; None
    where there is not one for each."""
    place = _own()
    while place and os.path.exists(f"{place}/cgroup.procs"):
        if os.access(place, os.W_OK) and set(wanted) <= controllers(place):
            try:
                enable(place, wanted)
                return dict.fromkeys(wanted, place)
            except OSError:  # it holds processes, or is not ours: then further up
                pass
        place = os.path.dirname(place)
    found = {controller: _own_v1(controller) for controller in wanted}
    return found if all(path and os.access(path, os.W_OK) for path in found.values()) else None


def controllers(cgroup: str) -> set[str]:
    """Those that a cgroup of version 2 has to give."""
    return set(_read(f"{cgroup}/cgroup.controllers").split())


def enable(cgroup: str, wanted: Sequence[str]) -> None:
    """Give the controllers to the cgroups in this one. Raises OSError."""
    if not set(wanted) <= set(_read(f"{cgroup}/cgroup.subtree_control").split()):
        _write(f"{cgroup}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))


def _own_v1(controller: str) -> str:
    """Where this process is in a hierarchy of version 1, "" where there is none. A container shows
    its own part of it at the top."""
    top = f"{MOUNTS[0]}/{controller}"
    for line in _read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") and os.path.exists(f"{top}/tasks"):
            return top + path.rstrip("/") if os.path.exists(f"{top}{path}/tasks") else top
    return ""


def limit_memory(cgroup: str, most_bytes: int) -> None:
    """Swap included, where the kernel counts it. Raises OSError."""
    if os.path.exists(f"{cgroup}/memory.max"):
        _write(f"{cgroup}/memory.max", str(most_bytes))
        swap = (f"{cgroup}/memory.swap.max", "0")
    else:
        _write(f"{cgroup}/memory.limit_in_bytes", str(most_bytes))
        swap = (f"{cgroup}/memory.memsw.limit_in_bytes", str(most_bytes))
    if os.path.exists(swap[0]):
        _write(*swap)


def limit_cpu(cgroup: str, quota_us: int, period_us: int) -> None:
    """Raises OSError."""
    if os.path.exists(f"{cgroup}/cpu.max"):
        _write(f"{cgroup}/cpu.max", f"{quota_us} {period_us}")
        return
    _write(f"{cgroup}/cpu.cfs_period_us", str(period_us))
    _write(f"{cgroup}/cpu.cfs_quota_us", str(quota_us))


def remove(paths: Sequence[str]) -> None:
    """Those that were made for a run, where nothing is in them any more."""
    for path in paths:
        if os.path.basename(path).startswith("dobby-"):
            for folder, _, _ in os.walk(path, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:  # something lives there, or is only just gone
                    break


def was_out_of_memory(cgroup: str) -> bool:
    """Whether the kernel killed a process in it because memory ran out."""
    told = _counts(f"{cgroup}/memory.events") or _counts(f"{cgroup}/memory.oom_control")
    return told.get("oom_kill", 0) > 0


def peak_memory(cgroup: str) -> Optional[int]:
    """Bytes, what the kernel cached for it included; None where it is not told (before 5.19)."""
    text = _read(f"{cgroup}/memory.peak") or _read(f"{cgroup}/memory.max_usage_in_bytes")
    return int(text) if text.strip().isdigit() else None


def cpu_s(cgroup: str) -> Optional[float]:
    """Seconds of all processors together; None where it is not told."""
    spent = _counts(f"{cgroup}/cpu.stat").get("usage_usec")
    return None if spent is None else spent / 1e6


def _counts(path: str) -> dict[str, int]:
    try:
        return {name: int(number) for name, number in (line.split() for line in _read(path).splitlines())}
    except ValueError:
        return {}


def _read(path: str) -> str:
    """ "" where there is no such file, or it may not be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
