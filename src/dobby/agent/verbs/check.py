"""What this host is like, for `host check`: facts, which the caller judges."""

from __future__ import annotations

import os
import time

from dobby.agent import facts, knocking, logout, room
from dobby.core import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args`: `brief` (nothing is asked over the network, no sizes are looked at). Says first what
    the time is, as `clock`. Answers `facts` (core/health.py)."""
    call.wire.reply_json(protocol.CLOCK, {"now": time.time()})
    home, brief = call.home, bool(call.args.get("brief"))
    settings, of_settings, env = facts.of_settings(home)
    os.environ.update(settings.variables, DOBBY_HOME=home)
    network = None if brief else knocking.begin(settings)
    found: dict[str, Any] = {
        "python": facts.of_python(),
        "agent": facts.of_agent(home),
        "git": facts.of_git(settings),
        "settings": of_settings,
        "home": facts.of_home(home, settings),
        "locks": facts.of_locks(home),
        "memory": room.of_memory(),
        "logout": logout.look(),
        "cron": facts.of_cron(home),
        "tools": facts.of_tools(env),
        "alive": facts.of_alive(home),
    }
    if not brief:
        found["usage"] = facts.of_usage(home)
    return {"facts": {**found, **(network() if network else {})}}
