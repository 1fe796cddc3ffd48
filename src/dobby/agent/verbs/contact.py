"""Nothing but a contact: whatever waits for a steward has one when it is answered."""

from __future__ import annotations

from dobby.agent import stewards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """No `args`, no answer."""
    stewards.ensure(call.home)
    return {}
