"""The agents that have been sent to this host: those that nobody uses any more go."""

from __future__ import annotations

import os
import time

from dobby.agent import outbox, processes, trees
from dobby.core import layout

NEWEST = 3  # stay, whoever used them: somebody's laptop has not been upgraded yet
UNUSED_S = 30 * 86400.0


def here() -> str:
    """The directory of this very agent."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def sweep(home: str) -> list[str]:
    """Remove agents that have not been used for UNUSED_S, are not among the NEWEST, and carry no
    process; their digests. Using one is told by its directory's date, which this call sets for ours."""
    base = os.path.dirname(layout.agent(home, "x"))
    if os.path.dirname(here()) != base or not processes.has_proc() or outbox.has_others(home):
        return []
    os.utime(here())
    dates = {name: os.stat(f"{base}/{name}").st_mtime for name in os.listdir(base) if _is_digest(name)}
    newest_first = sorted(dates, key=lambda name: dates[name], reverse=True)
    old = [n for n in newest_first[NEWEST:] if time.time() - dates[n] > UNUSED_S]
    said = b"\0".join(processes.command_lines()) if old else b""
    gone = [name for name in old if name.encode() not in said]
    for name in gone:
        doomed = f"{base}/{name}.{os.getpid()}.new"  # the loader sweeps what ends so
        os.rename(f"{base}/{name}", doomed)
        trees.remove_tree(doomed)
        trees.remove_tree(layout.index(home, name))
    return gone


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
