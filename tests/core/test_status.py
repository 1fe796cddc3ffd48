"""Statuses: finals and causes come back as they were; events fold into what is true now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.core import examples
from tests.core.examples import AT

if TYPE_CHECKING:
    from dobby.core.record import Record

from dobby.core import events as ev
from dobby.core import status as st

EVENTS = some.lists(
    some.sampled_from(
        [
            {"kind": ev.QUEUED, "behind": "r0"},
            {"kind": ev.PREPARING, "supervisor": {"pid": 1}},
            {"kind": ev.PHASE, "name": "sandbox", "duration_s": 0.1},
            {"kind": ev.STARTED, "log_offset": 12},
            {"kind": ev.STOPPING, "by": "ann"},
            {"kind": ev.NOTE, "text": "it's \n fine"},
            {"kind": "from_the_future", "what": {}},
        ]
    )
)


@given(some.one_of(examples.FAILURES, examples.LOSSES))
def test_a_cause_comes_back_as_it_was(cause: Record) -> None:
    assert st.parse_cause(json.loads(json.dumps(st.dump_cause(cause)))) == cause


@given(examples.FINALS)
def test_a_final_comes_back_as_it_was(final: st.Final) -> None:
    wire = json.loads(json.dumps(st.dump_final(final)))
    assert st.parse_final(wire) == final
    assert st.parse_final({**wire, "from_the_future": 1}) == final


@pytest.mark.parametrize(
    "wire",
    [
        {"status": "melted", "schema": 1},
        {"status": "succeeded", "schema": 2, "finished_at": AT},
        {"status": "succeeded", "schema": 1},
        {"status": "failed", "schema": 1, "finished_at": AT, "cause": {"kind": "melted"}},
        {"status": "failed", "schema": 1, "finished_at": AT, "cause": {"kind": "exit"}},
        {},
    ],
)
def test_what_cannot_be_understood_is_an_error(wire: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        st.parse_final(wire)


@given(examples.FINALS)
def test_only_a_commands_own_return_is_an_exit_code(final: st.Final) -> None:
    code, cause = st.exit_code_of(final), st.cause_of(final)
    assert (code is not None) == (cause["kind"] == "exit")
    assert code == (
        0 if isinstance(final, st.Succeeded) else cause.get("code") if cause["kind"] == "exit" else None
    )


@given(EVENTS, some.binary(max_size=20).filter(lambda tail: b"\n" not in tail))
def test_events_come_back_and_a_last_line_that_was_cut_is_left_out(
    events: list[dict[str, Any]], tail: bytes
) -> None:
    whole = b"".join(ev.dump_event(at=AT, **event) for event in events)
    expected = [{"at": AT, **event} for event in events]
    assert ev.parse_events(whole + tail) == expected
    assert ev.parse_events(whole[:-1]) == expected[:-1]


@pytest.mark.parametrize("data", [b"no json\n", b"[]\n", b"{}\n", b'{"kind": "note"}\nx\n', b"\n"])
def test_a_file_that_is_not_ours_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        ev.parse_events(data)


@given(EVENTS)
def test_the_last_step_counts(events: list[dict[str, Any]]) -> None:
    status = st.fold([{"at": AT, **event} for event in events])
    steps = [e["kind"] for e in events if e["kind"] in (ev.QUEUED, ev.PREPARING, ev.STARTED)]
    last = steps[-1] if steps else ev.QUEUED
    assert status.name == {ev.QUEUED: "queued", ev.PREPARING: "preparing", ev.STARTED: "running"}[last]


def test_each_live_status_carries_its_own() -> None:
    queued = {"kind": ev.QUEUED, "at": AT, "behind": "r0"}
    preparing = {"kind": ev.PREPARING, "at": AT}
    phase = {"kind": ev.PHASE, "at": AT, "name": "sandbox"}
    started = {"kind": ev.STARTED, "at": AT, "log_offset": 7}
    assert st.fold([]) == st.Queued()
    assert st.fold([queued]) == st.Queued(behind="r0")
    assert st.fold([queued, preparing, phase]) == st.Preparing(phase="sandbox")
    assert st.fold([queued, preparing, phase, started, phase]) == st.Running(started_at=AT, log_offset=7)


TIMES: dict[str, Any] = {"finished_at": AT, "started_at": AT, "duration_s": 1.5, "log_offset": 0}


@pytest.mark.parametrize(
    ("cause", "requested", "expected"),
    [
        (st.Exit(code=0), None, st.Succeeded(**TIMES)),
        (st.Exit(code=3), None, st.Failed(cause=st.Exit(code=3), **TIMES)),
        (st.OutOfMemory(), None, st.Failed(cause=st.OutOfMemory(), **TIMES)),
        (st.Exit(code=0), {"by": "ann", "reason": "stop"}, st.Stopped(by="ann", **TIMES)),
        (
            st.Signal(number=9, name="SIGKILL"),
            {"by": "ann", "reason": "stop"},
            st.Stopped(by="ann", **TIMES),
        ),
        (st.Exit(code=0), {"reason": "timeout", "timeout_s": 2.0}, st.TimedOut(timeout_s=2.0, **TIMES)),
    ],
)
def test_a_stop_counts_whatever_the_command_returned(
    cause: Record, requested: dict[str, Any] | None, expected: st.Final
) -> None:
    assert st.from_exit(cause, requested, **TIMES) == expected
