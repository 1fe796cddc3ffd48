"""A host looked at line by line: the way there as seen from here, the rest as it tells itself."""

from __future__ import annotations

import time

from dobby.core import health, json, protocol
from dobby.core.errors import DobbyError, Unreachable
from dobby.core.record import Record
from dobby.transport import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.core.health import Line
    from dobby.shipping import Agent
    from dobby.transport import Transport


class Checked(Record):
    """One host: what was found, line by line, and the facts behind the lines."""

    host: str
    lines: list[Line]
    facts: dict[str, Any]

    @property
    def fit(self) -> bool:
        """Whether nothing was found that would make a run fail."""
        return health.is_fit(self.lines)

    def to_json(self) -> dict[str, Any]:
        lines = [line.to_dict() for line in self.lines]
        return {"host": self.host, "fit": self.fit, "lines": lines, "facts": self.facts}


def check(host: str, way: Transport, agent: Agent, brief: bool) -> Checked:
    """`brief`: the host asks nobody over the network, and no sizes are looked at. What keeps the
    host from being looked at is one of the lines."""
    facts: dict[str, Any] = {}
    try:
        _look(way, agent, brief, facts)
    except Unreachable as error:
        facts["connection"] = _failed(error)
    except DobbyError as error:
        if "connection" not in facts:
            raise
        facts["python" if error.details.get("lacks") == "python" else "agent"] = _failed(error)
    return Checked(host=host, lines=health.judge(facts), facts=facts)


def _failed(error: DobbyError) -> dict[str, str]:
    return {"error": error.message, "hint": error.hint}


def _look(way: Transport, agent: Agent, brief: bool, facts: dict[str, Any]) -> None:
    """Fills `facts`, as far as it comes."""
    began = time.monotonic()
    how = way.connect()
    facts["connection"] = {"how": how, "cold_s": time.monotonic() - began, "warm_s": None}
    session = Session(way, lambda: agent)

    def heard(kind: str, payload: bytes) -> None:
        if kind == protocol.CLOCK:
            facts["clock"] = {"skew_s": json.loads(payload)["now"] - time.time()}

    try:
        facts.update(session.call("check", {"brief": brief}, heard)["facts"])
    finally:
        facts["connection"]["warm_s"] = session.here_s
        if session.here_s is not None:
            first = session.noise.decode("utf-8", "replace").strip().partition("\n")[0]
            facts["login_files"] = {"bytes": session.noise_bytes, "line": first}
