"""What the time is, and which machine and boot this is."""

from __future__ import annotations

import os
import time


def now() -> str:
    """UTC, ISO 8601, milliseconds, Z. For people; durations come from `time.monotonic`."""
    seconds, milli = divmod(time.time_ns() // 1_000_000, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milli:03d}Z"


def machine_id() -> str:
    """Names this machine where a home is shared by several (machine-id(5)), else its host name."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        text = _first_line(path)
        if text:
            return f"{text}/{os.uname().nodename}"
    return os.uname().nodename


def boot_id() -> str:
    """Changes with every boot: random on Linux (random(4)); elsewhere the time of the boot."""
    text = _first_line("/proc/sys/kernel/random/boot_id")
    if text:
        return text
    from dobby.agent import spawn

    argv = ["sysctl", "-n", "kern.boottime"]
    code, out, _ = spawn.capture(argv, cwd="/", env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    return out.decode("ascii", "replace").strip() if code == 0 else "unknown"


def _first_line(path: str) -> str:
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return ""
