"""The JSON that scripts rely on: one object a call, `"schema": 1`, known fields first."""

from __future__ import annotations

from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from dobby.core.errors import DobbyError

SCHEMA = 1
RUN_FIELDS = ("host", "project", "label", "run_id", "revision", "commit", "status", "log_command")
ROW_FIELDS = (
    *("host", "project", "label", "run_id", "status", "exit_code", "cause", "command", "dir"),
    *("revision", "commit", "user", "created_at", "started_at", "finished_at", "duration_s"),
    *("log_bytes", "notices", "usage", "queue_position", "max_running"),
)


def dump(value: Mapping[str, Any]) -> str:
    """One object on one line, ASCII only: no byte of it can act on a terminal."""
    text = json.dumps({"schema": SCHEMA, **value})
    return text.replace("\x7f", "\\u007f")


def of_launch(row: Mapping[str, Any], log_command: str) -> dict[str, Any]:
    """What `run` and `restart` answer."""
    return _in_order({**row, "log_command": log_command}, RUN_FIELDS)


def of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One run, as `wait` gives it."""
    return _in_order(row, ROW_FIELDS)


def of_listing(rows: Iterable[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What `ps` and `history` answer."""
    return {"runs": [of_row(row) for row in rows], "hosts": [dict(host) for host in hosts]}


def of_error(error: DobbyError) -> dict[str, Any]:
    wire = error.to_wire()
    return {"error": _in_order(wire, ("kind", "message", "hint"))}


def _in_order(value: Mapping[str, Any], first: Iterable[str]) -> dict[str, Any]:
    """The fields of the contract in its order (null where the host gave none), then the rest."""
    ordered = {key: value.get(key) for key in first}
    return {**ordered, **{key: content for key, content in value.items() if key not in ordered}}
