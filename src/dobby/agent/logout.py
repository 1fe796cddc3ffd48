"""What a logout does to an account's processes, as systemd-logind is set up (logind.conf(5))."""

from __future__ import annotations

import glob
import os

from dobby.agent import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLACES = ("/usr/lib/systemd", "/run/systemd", "/etc/systemd")  # the later wins


def look() -> dict[str, Any]:
    """`systemd` runs this machine; there is a user `manager`, in whose scopes runs are where the
    account `lingers`; logind `kills` what a session leaves."""
    return {
        "systemd": os.path.isdir("/run/systemd/system"),
        "manager": start.has_manager(),
        "lingers": start.lingers(),
        "kills": os.path.isdir("/run/systemd/seats") and _kills(),
    }


def _kills() -> bool:
    said = "no"
    files = [f"{place}/logind.conf" for place in _PLACES]
    files += sorted(
        (path for place in _PLACES for path in glob.glob(f"{place}/logind.conf.d/*.conf")),
        key=os.path.basename,
    )
    for path in files:
        try:
            with open(path, errors="replace") as file:
                for line in file:
                    key, _, value = line.partition("=")
                    said = value.strip() if key.strip() == "KillUserProcesses" else said
        except OSError:
            continue
    return said.lower() in ("yes", "true", "1", "on")
