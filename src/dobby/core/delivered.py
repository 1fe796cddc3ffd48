"""What became of a run's notices: a fold over notices.jsonl, one JSON object an attempt.

    event_id channel to      which delivery (core/notices.py)
    state                    sent | failed (to be tried again) | given_up
    attempts at              how many there were; when the last one was
    next_at                  failed alone: when the next one is due
    answer                   what the service said, one line
    memory                   what the channel keeps for the run's later notices, where it does

A line {"kind": "stalled", "at", "silent_s"} says when the run was found silent. The steward alone
writes; the last line of a delivery counts.
"""

from __future__ import annotations

from dobby.core import json
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.core.notices import Delivery

    Key = tuple[str, str, str]

SENT, FAILED, GIVEN_UP = "sent", "failed", "given_up"
STATES = (SENT, FAILED, GIVEN_UP)  # the last is the worst


class Attempt(Record):
    """The last attempt at a delivery. `first_at` is when the first one was."""

    state: str
    attempts: int
    first_at: str
    at: str
    next_at: Optional[str] = None
    answer: str = ""


class Delivered(Record):
    """All that notices.jsonl says. `memory` is by channel; `stalled` the line of that kind."""

    attempts: dict[Key, Attempt]
    memory: dict[str, dict[str, Any]]
    stalled: Optional[dict[str, Any]] = None


def key_of(delivery: Delivery) -> Key:
    return delivery.event_id, delivery.channel, delivery.to


def parse(data: bytes) -> Delivered:
    """The fold. A line that cannot be read is passed over: at worst somebody is told again."""
    attempts: dict[Key, Attempt] = {}
    memory: dict[str, dict[str, Any]] = {}
    stalled = None
    for text in data.split(b"\n")[:-1]:
        try:
            line = json.loads(text)
            if line.get("kind") == "stalled":
                stalled = line
                continue
            key = str(line["event_id"]), str(line["channel"]), str(line["to"])
            attempts[key] = _attempt(attempts.get(key), line)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if isinstance(line.get("memory"), dict):
            memory[key[1]] = line["memory"]
    return Delivered(attempts=attempts, memory=memory, stalled=stalled)


def _attempt(before: Optional[Attempt], line: dict[str, Any]) -> Attempt:
    return Attempt(
        state=str(line["state"]),
        attempts=int(line["attempts"]),
        first_at=before.first_at if before else str(line["at"]),
        at=str(line["at"]),
        next_at=line.get("next_at"),
        answer=str(line.get("answer", "")),
    )


def summary(delivered: Delivered) -> list[dict[str, Any]]:
    """A row's `notices`: for each channel the worst state that a delivery of the run has there,
    and its attempts."""
    worst: dict[str, Attempt] = {}
    for (_, channel, _), attempt in delivered.attempts.items():
        known = worst.get(channel)
        if known is None or _badness(attempt) >= _badness(known):
            worst[channel] = attempt
    return [
        {"channel": channel, "state": one.state, "attempts": one.attempts} for channel, one in worst.items()
    ]


def _badness(attempt: Attempt) -> tuple[int, int]:
    bad = STATES.index(attempt.state) if attempt.state in STATES else len(STATES)
    return bad, attempt.attempts


# --- when to try again --------------------------------------------------------------------------

GIVE_UP_S = 86_400.0  # after the first attempt
FIRST_REST_S, LONGEST_REST_S = 2.0, 600.0
LONGEST_ASKED_S = 21_600.0  # a service may ask for more than our own rests, within reason


def rest_s(attempts: int, chance: float, asked_s: Optional[float] = None) -> float:
    """Seconds from a failed attempt, the `attempts`-th, to the next: doubled each time, and spread
    by `chance` (0 to 1) so that many do not come back at once. Never less than the service asked
    for."""
    own = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(attempts - 1, 30))
    return max(own * (0.75 + chance / 2), min(asked_s or 0.0, LONGEST_ASKED_S))
