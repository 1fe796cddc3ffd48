"""What the time is, and which machine and boot this is."""

from __future__ import annotations

import os
import time

from dobby.core.lazy import once


def now() -> str:
    """UTC, ISO 8601, milliseconds, Z. For people; durations come from `time.monotonic`."""
    return stamp(time.time())


def stamp(at: float) -> str:
    """Seconds since 1970 as `now` writes them."""
    seconds, milli = divmod(int(at * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milli:03d}Z"


def parse(at: str) -> float:
    """Seconds since 1970 of what `stamp` wrote; now, where it is none."""
    from datetime import datetime, timezone

    try:
        moment = datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return time.time()
    return moment.replace(tzinfo=timezone.utc).timestamp()


@once
def machine_id() -> str:
    """Names this machine where a home is shared by several (machine-id(5)), else its host name."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        text = _first_line(path)
        if text:
            return f"{text}/{os.uname().nodename}"
    return os.uname().nodename


@once
def boot_id() -> str:
    """Changes with every boot, and at no other time (random(4) on Linux)."""
    return _ask_boot_id()


def _ask_boot_id() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id") or _ask_sysctl()


@once
def _ask_sysctl() -> str:
    """macOS has an id for the boot; others tell when it was. "unknown" never changes: then a
    reboot is not noticed as such, and pids alone tell what lives."""
    from dobby.agent import spawn

    env = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    for name in ("kern.bootsessionuuid", "kern.boottime"):
        code, out, _ = spawn.capture(["sysctl", "-n", name], cwd="/", env=env)
        if code == 0 and out.strip():
            return out.decode("ascii", "replace").strip()
    return "unknown"


def _first_line(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 256).partition(b"\n")[0].decode("ascii", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)
