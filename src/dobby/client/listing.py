"""Runs of many hosts in one table: what `ps` and `history` show."""

from __future__ import annotations

import time

from dobby import config
from dobby.client import people
from dobby.core.errors import UsageError
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.client.hosts import Answer, Hosts


class Listing(Record):
    """`runs`: rows; `hosts`: {host, reachable, error} of each that was asked."""

    runs: list[dict[str, Any]]
    hosts: list[dict[str, Any]]


def ask(
    hosts: Hosts,
    labels: list[tuple[str, str]],
    all: bool,
    host: str | None,
    say: Callable[[str], None],
    meanwhile: Callable[[Listing], Any] | None = None,
) -> Listing:
    """Of one host or of all, asked at once. `meanwhile` gets what is there when some keep one
    waiting. Raises what the first said when none answered."""
    early: Callable[[list[Answer]], Any] | None = None
    if meanwhile:
        early = lambda answers: meanwhile(_listing(answers, lambda sentence: None))  # noqa: E731
    names = [host] if host else hosts.known()
    answers = hosts.ask_all(names, "list", {"all": all, "labels": labels}, early)
    errors = [a.error for a in answers if a.error]
    if errors and len(errors) == len(answers):
        raise errors[0]
    return _listing(answers, say)


def _listing(answers: list[Answer], say: Callable[[str], None]) -> Listing:
    runs: list[dict[str, Any]] = []
    shown = []
    for answer in answers:
        result = answer.result or {"runs": [], "unreadable": []}
        runs += result["runs"]
        for sentence in result["unreadable"]:
            say(f"{answer.host}: {sentence}")
        error = answer.error.message if answer.error else None
        shown.append({"host": answer.host, "reachable": answer.error is None, "error": error})
    return Listing(runs=runs, hosts=shown)


def narrowed(found: Listing, user: str | None, status: str | None, earliest: str) -> Listing:
    """Those runs that match, newest first."""
    runs = [
        r
        for r in found.runs
        if (not user or user in people.of_run(r))
        and (not status or r["status"] == status)
        and r["created_at"] >= earliest
    ]
    ordered = sorted(runs, key=lambda r: str(r["created_at"]), reverse=True)
    return Listing(runs=ordered, hosts=found.hosts)


def earliest(since: str | None) -> str:
    """`since` as the beginning of an ISO 8601 time: given as such, or as an age ("2d"). Raises
    UsageError."""
    if not since:
        return ""
    if len(since) >= 4 and since[:4].isdigit():
        return since
    try:
        age = config.parse_duration_s(since)
    except ValueError as error:
        raise UsageError(f"since {since!r} {error}", "give a date (2026-01-31) or an age (2d)") from None
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - age))
