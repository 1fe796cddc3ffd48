"""Who calls, beyond what they say of themselves: the login that sudo saw (sudo(8), SUDO_USER)."""

from __future__ import annotations

import os


def login() -> str:
    """The account that logged in and became this one, "" where it is this very one."""
    name = os.environ.get("SUDO_USER", "")
    return name if name and os.environ.get("SUDO_UID") != str(os.getuid()) else ""


def named(said: str) -> str:
    """Who asks, as they said, with the login behind it where that is another name."""
    proved = login()
    return said if proved in ("", said) else f"{said} ({proved})" if said else proved
