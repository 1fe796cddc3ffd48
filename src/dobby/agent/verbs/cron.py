"""Have the host's cron look after dobby's runs, or no longer."""

from __future__ import annotations

from dobby.agent import crontab

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args`: `on`. Answers `changed` (whether lines were there to be removed; true for `on`)
    and `note`, what else to tell."""
    if call.args.get("on"):
        return {"changed": True, "note": crontab.install(call.home)}
    return {"changed": crontab.remove(call.home), "note": ""}
