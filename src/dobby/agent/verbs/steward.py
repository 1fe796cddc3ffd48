"""Be the steward: what is started in a scope of its own (agent/stewards.py) carries on here."""

from __future__ import annotations

import os

from dobby.agent import start, steward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args`: the inherited descriptor `ready_fd`."""
    ready_fd = call.args["ready_fd"]
    os.set_inheritable(ready_fd, False)
    steward.run(call.home, lambda: start.tell_ready(ready_fd))
    return {}
