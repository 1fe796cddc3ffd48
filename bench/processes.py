"""What live processes take, as the kernel tells it (proc(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK = os.sysconf("SC_CLK_TCK")


def of_dobby(name: str, home: str) -> list[int]:
    """Pids of those whose name begins with `name` and whose DOBBY_HOME is `home`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", errors="replace") as comm:
                if not comm.read().startswith(name):
                    continue
            with open(f"/proc/{pid}/environ", "rb") as environ:
                if f"DOBBY_HOME={home}".encode() in environ.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            continue
    return found


def pss_mb(pid: int) -> float:
    """Its memory, what it shares counted in parts (MB of 10^6 bytes)."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("Pss:"))


def wakeups(pids: Iterable[int]) -> int:
    """How often they went to sleep so far: each wake-up ends in one."""
    return sum(_switches(pid) for pid in pids)


def _switches(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))


def cpu_ms(pids: Iterable[int]) -> float:
    """CPU time that they have taken so far."""
    return sum(_ticks(pid) for pid in pids) * 1000 / _TICK


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime, stime: the 14th and 15th of all
