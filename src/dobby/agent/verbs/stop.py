"""End a run; by its label also those queued behind it, and what was left behind."""

from __future__ import annotations

from dobby.agent import callers, rows, stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them, with `by` (who asks) and `grace_s` (None: the
    run's own). Answers `run`, a row, and `was`: its status before."""
    stored = rows.target(call.home, call.args)
    was = stored.view().status.name
    by, grace_s = callers.named(call.args.get("by", "")), call.args.get("grace_s")
    if not call.args.get("run"):
        stopping.clear(stored.run.job, by, grace_s)
    return {"run": rows.row(stopping.stop(stored.run, by, grace_s)), "was": was}
