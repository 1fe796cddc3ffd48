"""Rows of runs as a host sent them: looked at before anything is made of them, so that a host that
sends nonsense is one host's error and not the end of a listing of all."""

from __future__ import annotations

from dobby.core import protocol
from dobby.core.errors import DobbyError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALWAYS = {"list": ("runs", "unreadable"), "show": ("run", "request")}
_TEXTS = ("project", "label", "run_id", "status", "created_at")
_NUMBERS = ("duration_s", "exit_code", "queue_position")
_OBJECTS = ("cause", "usage")
_MOST = 1e18  # no time, size or place is more; NaN and Infinity, which JSON readers take, are neither


def of_answer(host: str, verb: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows in a verb's result. Raises DobbyError where it lacks what that verb answers, or a row is
    none that can be shown."""
    for key in _ALWAYS.get(verb, ()):
        if key not in result:
            raise _garbled(host, f"an answer without {key}")
    rows, sentences = result.get("runs", []), result.get("unreadable", [])
    if not isinstance(rows, list) or not isinstance(sentences, list):
        raise _garbled(host, "something else than a list of runs")
    rows = [*rows, *([result["run"]] if "run" in result else [])]
    for row in rows:
        wrong = "that is no object" if not isinstance(row, dict) else _wrong(row)
        if wrong:
            raise _garbled(host, f"a run {wrong}")
    return rows


def _garbled(host: str, what: str) -> DobbyError:
    return DobbyError(f"host {host} sent {what}", protocol.GARBLED)


def _wrong(row: dict[str, Any]) -> str:
    """What cannot be shown of it, "" where all can."""
    for key in _TEXTS:
        if not isinstance(row.get(key), str):
            return f"whose {key} is no text"
    for key in _OBJECTS:
        if not isinstance(row.get(key) or {}, dict):
            return f"whose {key} is no object"
    cause, usage = row.get("cause") or {}, row.get("usage") or {}
    numbers = {**{key: row.get(key) for key in _NUMBERS}, "timeout_s": cause.get("timeout_s"), **usage}
    for key, value in numbers.items():
        if value is not None and not _is_number(value):
            return f"whose {shown(key)} is no number"
    notices = row.get("notices") or []
    if not isinstance(notices, list) or not all(isinstance(one, dict) for one in notices):
        return "whose notices are no list of objects"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST
