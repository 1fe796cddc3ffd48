"""A queued run's turn: it comes when every earlier run of the job is done with the label.

No daemon and no polling: each waiter sleeps in flock(2) on the lock of the run ahead of it,
then on the label's own.
"""

from __future__ import annotations

import os

from dobby.agent import conclude, locks, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core import layout


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
        if _ahead(run, mine.seq) is None:
            return fd
        locks.release(fd)


def anyone_waits(job: layout.Job) -> bool:
    """Whether a run of this job is carried by a supervisor: who comes later queues behind it."""
    return any(_is_carried(job.run(run_id)) for run_id in store.run_ids(job))


def _ahead(run: layout.Run, seq: int) -> Optional[layout.Run]:
    """The latest earlier run that some supervisor still carries."""
    best: Optional[tuple[int, layout.Run]] = None
    for run_id in store.run_ids(run.job):
        other = run.job.run(run_id)
        if run_id == run.run_id or not _is_carried(other):
            continue
        stored = store.load(other)
        if stored and stored.final is None and stored.seq < seq and (not best or stored.seq > best[0]):
            best = (stored.seq, other)
    return best[1] if best else None


def _is_carried(run: layout.Run) -> bool:
    return not os.path.exists(run.final) and locks.is_held(run.lock)


def _await_supervisor(run: layout.Run) -> None:
    fd = locks.take(run.lock, wait=True)
    if fd is not None:
        locks.release(fd)
        stored = store.load(run)
        if stored:
            conclude.settle(stored)
