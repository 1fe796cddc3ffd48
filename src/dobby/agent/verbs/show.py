"""One run, with the request that it came from: what `restart` needs."""

from __future__ import annotations

from dobby.agent import rows
from dobby.core import request as rq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them. Answers `run`, a row, and `request`."""
    stored = rows.target(call.home, call.args)
    return {"run": rows.row(stored), "request": rq.to_dict(stored.request)}
