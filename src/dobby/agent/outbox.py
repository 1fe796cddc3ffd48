"""Which runs somebody is still to be told of, and what became of their notices.

A marker is made before a run is acknowledged and removed by the steward alone, once the run is
final and everyone has been told or given up on. What is due follows from the run's directory.
"""

from __future__ import annotations

import os

from dobby.agent import clock, durable
from dobby.core import delivered, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.core.delivered import Delivered


def add(run: layout.Run) -> None:
    """The marker's name is durable; what it holds says which machine's steward is to see to it. Cut, as
    a crash may leave it, it is for any that it may have named: the run itself says who carries it."""
    durable.make_dirs(layout.outbox(run.home))
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(run.marker, flags, 0o600)
    try:
        durable.write_all(fd, clock.machine_id().encode())
    finally:
        os.close(fd)
    durable.sync_dir(layout.outbox(run.home))


def remove(run: layout.Run) -> None:
    """Not durable: come back after a crash, it is found to have nothing left to do."""
    durable.discard(run.marker)


def is_empty(home: str) -> bool:
    return not durable.names(layout.outbox(home))


def runs(home: str) -> list[layout.Run]:
    """The runs that this machine's steward is to see to, oldest first."""
    names = durable.names(layout.outbox(home))
    marked = (layout.parse_marker(home, name) for name in names)
    here = clock.machine_id().encode() if names else b""
    ours = (run for run in marked if run is not None and _may_name(durable.read(run.marker), here))
    return sorted(ours, key=lambda run: run.run_id)


def has_others(home: str) -> bool:
    """Whether a run waits for the steward of another machine that shares this home."""
    known = {run.marker for run in runs(home)}
    base = layout.outbox(home)
    return not is_empty(home) and any(f"{base}/{name}" not in known for name in os.listdir(base))


def _may_name(marker: Optional[bytes], here: bytes) -> bool:
    return marker is not None and here.startswith(marker.rstrip(b"\0"))


def read(run: layout.Run) -> Delivered:
    """What became of the run's notices so far."""
    return delivered.parse(durable.read(run.notices) or b"")


def record(run: layout.Run, line: dict[str, Any]) -> None:
    """Append a line, durably; only the steward does."""
    durable.append(run.notices, durable.dump_json(line))
