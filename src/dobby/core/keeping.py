"""Which runs of a job lose what takes up room, by the host's `keep_last` and `keep_days`."""

from __future__ import annotations

from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

DAY_S = 86400.0


class Ended(Record):
    """A final run: its number within the job, and when it ended (seconds since 1970)."""

    run_id: str
    seq: int
    ended: float


def outdated(
    runs: Iterable[Ended], keep_last: Optional[int], keep_days: Optional[int], now: float
) -> list[str]:
    """Ids of the runs that are not among the `keep_last` latest, or ended more than `keep_days`
    ago; None is no limit. A job's latest run always stays."""
    latest_first = sorted(runs, key=lambda run: run.seq, reverse=True)
    found = []
    for place, run in enumerate(latest_first):
        too_many = keep_last is not None and place >= keep_last
        too_old = keep_days is not None and now - run.ended > keep_days * DAY_S
        if place and (too_many or too_old):
            found.append(run.run_id)
    return found
