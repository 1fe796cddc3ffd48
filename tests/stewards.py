"""A steward stays for ten seconds after all is told: tests that take its home away end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path


def end(home: str | os.PathLike[str]) -> None:
    """Ask the steward of a dobby home, if there is one, to go: its lock names it."""
    for lock in Path(home).glob("steward.*.lock"):
        with contextlib.suppress(ValueError, KeyError, OSError):
            os.kill(int(json.loads(lock.read_text())["pid"]), signal.SIGTERM)
