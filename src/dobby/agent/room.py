"""How much room a host has: disk and inodes below a directory, memory of the machine."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional


def of_disk(path: str) -> dict[str, Optional[int]]:
    """`free_bytes` and `total_bytes` that this account may use; `free_inodes`, None where the
    filesystem makes them as they are needed (btrfs says 0 of 0, statvfs(3))."""
    found = os.statvfs(path)
    return {
        "free_bytes": found.f_bavail * found.f_frsize,
        "total_bytes": found.f_blocks * found.f_frsize,
        "free_inodes": found.f_favail if found.f_files else None,
    }


def of_memory() -> dict[str, int]:
    """`free_bytes` (what new programs may have without swapping) and `total_bytes`; empty where
    the system does not say (proc_meminfo(5))."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        return {
            "free_bytes": int(lines["MemAvailable"].split()[0]) * 1024,
            "total_bytes": int(lines["MemTotal"].split()[0]) * 1024,
        }
    except (OSError, KeyError, ValueError):
        return {}
