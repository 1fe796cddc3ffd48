"""Rows of runs as a host sent them: looked at before anything is made of them, so that a host that
sends nonsense is one host's error and not the end of a listing of all."""

from __future__ import annotations

from dobby.core import protocol
from dobby.core.errors import DobbyError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALWAYS = {"list": ("fields", "runs", "unreadable"), "show": ("run", "request")}
_TEXTS = ("project", "label", "run_id", "status", "created_at")
_NUMBERS = ("duration_s", "exit_code", "queue_position")
_OBJECTS = ("cause", "usage")
_MOST = 1e18  # no time, size or place is more; NaN and Infinity, which JSON readers take, are neither


def of_answer(host: str, verb: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows in a verb's result, and what they are made of there put by them. Raises DobbyError where it
    lacks what that verb answers, or a row is none that can be shown."""
    for key in _ALWAYS.get(verb, ()):
        if key not in result:
            raise _garbled(host, f"an answer without {key}")
    rows = [result["run"]] if "run" in result else []
    if verb == "list":
        rows = result["runs"] = _named(host, result["fields"], result["runs"])
        if not isinstance(result["unreadable"], list):
            raise _garbled(host, "something else than a list of runs")
    if wrong := _wrong(rows):
        raise _garbled(host, f"a run {wrong}")
    return rows


def _named(host: str, fields: Any, rows: Any) -> list[dict[str, Any]]:
    """Each row with the names of its fields. Raises DobbyError."""
    if not isinstance(fields, list) or not isinstance(rows, list):
        raise _garbled(host, "something else than a list of runs")
    if any(not isinstance(field, str) for field in fields):
        raise _garbled(host, "a field without a name")
    if any(not isinstance(row, list) or len(row) != len(fields) for row in rows):
        raise _garbled(host, "a run that is no list of its fields")
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _garbled(host: str, what: str) -> DobbyError:
    return DobbyError(f"host {host} sent {what}", protocol.GARBLED)


def _wrong(rows: list[Any]) -> str:
    """What cannot be shown of one of them, "" where all can. Field by field: a host may have thousands."""
    if any(not isinstance(row, dict) for row in rows):
        return "that is no object"
    for key in _TEXTS:
        if any(not isinstance(row.get(key), str) for row in rows):
            return f"whose {key} is no text"
    causes, usages = ([one for row in rows if (one := row.get(key))] for key in _OBJECTS)
    for key, objects in zip(_OBJECTS, (causes, usages), strict=True):
        if any(not isinstance(one, dict) for one in objects):
            return f"whose {key} is no object"
    numbers = {key: [row.get(key) for row in rows] for key in _NUMBERS}
    numbers["timeout_s"] = [cause.get("timeout_s") for cause in causes]
    for usage in usages:
        for key, value in usage.items():
            numbers.setdefault(key, []).append(value)
    for key, values in numbers.items():
        if any(value is not None and not _is_number(value) for value in values):
            return f"whose {shown(key)} is no number"
    told = [notices for row in rows if (notices := row.get("notices"))]
    if any(not isinstance(one, list) or any(not isinstance(n, dict) for n in one) for one in told):
        return "whose notices are no list of objects"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST
