"""What became of notices: the fold, and when to try again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from dobby.core import delivered
from dobby.core.layout import Run, outbox, parse_marker
from dobby.core.notices import Delivery

HOME = "/home/of"


def line(event: str, channel: str, state: str, attempts: int, **more: Any) -> bytes:
    plain = {"event_id": event, "channel": channel, "to": "", "state": state, "attempts": attempts}
    return json.dumps({"at": f"at {attempts}", "answer": "", **plain, **more}).encode() + b"\n"


def test_the_last_line_of_a_delivery_counts() -> None:
    found = delivered.parse(
        line("r.started", "team", "failed", 1, next_at="soon")
        + line("r.failed", "team", "sent", 1, memory={"ts": "5"})
        + line("r.started", "team", "sent", 2)
    )
    last = found.attempts["r.started", "team", ""]
    assert (last.state, last.attempts, last.first_at, last.at) == ("sent", 2, "at 1", "at 2")
    assert last.next_at is None
    assert found.memory == {"team": {"ts": "5"}}
    assert found.attempts.keys() == {("r.started", "team", ""), ("r.failed", "team", "")}


def test_one_address_is_not_another() -> None:
    found = delivered.parse(line("r.failed", "mail", "sent", 1, to="a@b.c"))
    one = Delivery(event_id="r.failed", kind="failed", channel="mail", to="a@b.c")
    assert found.attempts[delivered.key_of(one)].state == "sent"
    assert delivered.key_of(one.replace(to="d@e.f")) not in found.attempts


def test_damage_costs_a_line() -> None:
    sound = line("r.failed", "team", "sent", 1)
    damaged = b'\0\0\n[]\n{"event_id": 3}\nnull\n' + sound + line("r.lost", "x", "sent", 1)[:-9]
    assert list(delivered.parse(damaged).attempts) == [("r.failed", "team", "")]


def test_a_channel_is_shown_by_its_worst() -> None:
    found = delivered.parse(
        line("r.started", "team", "given_up", 9)
        + line("r.failed", "team", "sent", 1)
        + line("r.started", "mail", "sent", 2, to="a@b.c")
        + line("r.started", "mail", "failed", 1, to="d@e.f")
        + b'{"kind": "stalled", "at": "then", "silent_s": 3.0}\n'
    )
    assert delivered.summary(found) == [
        {"channel": "team", "state": "given_up", "attempts": 9},
        {"channel": "mail", "state": "failed", "attempts": 1},
    ]
    assert found.stalled == {"kind": "stalled", "at": "then", "silent_s": 3.0}


@given(some.integers(1, 10_000), some.floats(0, 1))
def test_rests_grow_and_have_an_end(attempts: int, chance: float) -> None:
    rest = delivered.rest_s(attempts, chance)
    assert 1.5 <= rest <= 750
    assert delivered.rest_s(attempts, chance, 40.0) == max(rest, 40.0)
    assert delivered.rest_s(attempts + 1, chance) >= rest


def test_a_service_cannot_ask_for_ever() -> None:
    assert delivered.rest_s(1, 0.5, 1e9) == delivered.LONGEST_ASKED_S


def test_a_marker_names_its_run() -> None:
    run = Run(home=HOME, project="p.q", label="l-1", run_id="20260101-r")
    directory, _, name = run.marker.rpartition("/")
    assert (directory, parse_marker(HOME, name)) == (outbox(HOME), run)


def test_what_is_no_marker() -> None:
    for name in ("", "a%2Fb", "a%2Fb%2Fc%2Fd", "a%2F..%2Fc", "a%2Fb%2F", "p%2Fl%2Fr.lock", "a/b/c"):
        assert parse_marker(HOME, name) is None, name
