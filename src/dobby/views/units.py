"""Numbers as people read them: places, times, what was used."""

from __future__ import annotations

from dobby.core.sizes import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def duration_text(seconds: float) -> str:
    """0.4s, 12s, 3m05s, 2h10m, 4d3h."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def used_text(usage: Mapping[str, Any] | None) -> str:
    """ "1.2 GB, CPU 3m05s, disk 12 MB", "" where nothing is known."""
    used = usage or {}
    memory, cpu_s, disk = (used.get(name) for name in ("peak_memory_bytes", "cpu_s", "disk_bytes"))
    parts = [
        "" if memory is None else size_text(memory),
        "" if cpu_s is None else f"CPU {duration_text(round(cpu_s, 1))}",
        "" if disk is None else f"disk {size_text(disk)}",
    ]
    return ", ".join(filter(None, parts))
