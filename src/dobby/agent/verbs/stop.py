"""End a run; by its label also those queued behind it."""

from __future__ import annotations

from dobby.agent import rows, stopping
from dobby.core import status as st

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them, with `by` (who asks) and `grace_s` (None: the
    run's own). Answers `run`, a row, and `was`: its status before."""
    stored = rows.target(call.home, call.args)
    was = stored.view().status.name
    by, grace_s = call.args.get("by", ""), call.args.get("grace_s")
    if not call.args.get("run"):
        for other in rows.of_job(stored.run.job):
            if other.view().status.name == st.Queued.name and other.run != stored.run:
                stopping.stop(other.run, by, grace_s)
    return {"run": rows.row(stopping.stop(stored.run, by, grace_s)), "was": was}
