"""A queued run's turn: it comes when every earlier run of the job is done with the label.

No daemon and no polling: each waiter sleeps in flock(2) on the lock of the run ahead of it,
then on the label's own.
"""

from __future__ import annotations

import os
import time

from dobby.agent import conclude, locks, store
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core import layout

_LOOK_AGAIN_S = 0.5


def wait(run: layout.Run) -> int:
    """A descriptor that holds the label's lock, once no earlier run wants it."""
    mine = store.load(run)
    assert mine is not None  # noqa: S101 - we hold its lock
    while True:
        ahead = _ahead(run, mine.seq)
        if ahead is not None:
            _await_supervisor(ahead)
            continue
        fd = locks.take(run.job.lock, wait=True)
        assert fd is not None  # noqa: S101 - it waited
        if _ahead(run, mine.seq) is not None:
            locks.release(fd)
        elif not conclude.is_over(run.job):
            locks.release(fd)
            time.sleep(_LOOK_AGAIN_S)  # processes that hold no lock have nothing to wake us
        else:
            return fd


def is_free(job: layout.Job, but: str = "") -> bool:
    """Whether a run that comes now may have the label at once: no other (than the run with the
    id `but`) waits for it or is being concluded, and the last one is over. The caller holds the
    label's lock."""
    carried = (is_carried(job.run(run_id)) for run_id in store.run_ids(job) if run_id != but)
    return not any(carried) and conclude.is_over(job, but)


def is_carried(run: layout.Run) -> bool:
    """Whether a supervisor, or who does its work, has this run in hand."""
    return not os.path.exists(run.final) and locks.is_held(run.lock)


def _ahead(run: layout.Run, seq: int) -> Optional[layout.Run]:
    """The latest earlier run that some supervisor still carries."""
    best: Optional[tuple[int, layout.Run]] = None
    for run_id in store.run_ids(run.job):
        other = run.job.run(run_id)
        if run_id == run.run_id or not is_carried(other):
            continue
        try:
            stored = store.load(other)
        except DobbyError:  # unreadable: `list` names it; the label's lock still keeps order
            continue
        if stored and stored.final is None and stored.seq < seq and (not best or stored.seq > best[0]):
            best = (stored.seq, other)
    return best[1] if best else None


def _await_supervisor(run: layout.Run) -> None:
    try:
        fd = locks.take(run.lock, wait=True)
    except FileNotFoundError:  # its directory was removed
        return
    assert fd is not None  # noqa: S101 - it waited
    locks.release(fd)
    try:
        stored = store.load(run)
        if stored:
            conclude.settle(stored)
    except DobbyError:  # unreadable, as above
        return
