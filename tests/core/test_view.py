"""The row that every list, page and JSON shows: its fields are a contract."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from tests.core import examples
from tests.core.examples import AT, REQUEST

from dobby.core import events as ev
from dobby.core import status as st
from dobby.core import view

# As documented for `--json`, in this order; further fields may stand among them.
PROMISED = [
    *("host", "project", "label", "run_id", "status", "exit_code", "cause", "command", "dir"),
    *("revision", "commit", "user", "created_at", "started_at", "finished_at", "duration_s"),
    *("log_bytes", "notices"),
]


def row(events: list[dict[str, Any]], final: st.Final | None = None) -> dict[str, Any]:
    return view.to_row(view.make_view(REQUEST, 3, AT, events, final, log_bytes=9), "big")


@given(examples.FINALS)
def test_every_promised_field_is_there_in_order_and_is_json(final: st.Final) -> None:
    shown = row([], final)
    assert [name for name in shown if name in PROMISED] == PROMISED
    assert json.loads(json.dumps(shown)) == shown
    assert shown["status"] == final.name
    assert shown["finished_at"] == AT
    assert shown["cause"]["kind"]


def test_a_live_run_has_no_end_and_no_cause() -> None:
    shown = row([{"kind": ev.PREPARING, "at": AT}, {"kind": ev.PHASE, "at": AT, "name": "sandbox"}])
    assert (shown["status"], shown["phase"]) == ("preparing", "sandbox")
    assert {shown[name] for name in ("exit_code", "cause", "started_at", "finished_at", "duration_s")} == {
        None
    }


def test_a_running_run_says_since_when_and_where_its_bytes_begin() -> None:
    shown = row([{"kind": ev.STARTED, "at": AT, "log_offset": 5}])
    assert (shown["status"], shown["started_at"], shown["log_offset"]) == ("running", AT, 5)


def test_succeeded_is_exit_code_0_and_a_signal_is_none() -> None:
    assert row([], st.Succeeded(finished_at=AT))["exit_code"] == 0
    assert row([], st.Succeeded(finished_at=AT))["cause"] == {"kind": "exit", "code": 0}
    assert row([], st.Failed(finished_at=AT, cause=st.Exit(code=3)))["exit_code"] == 3
    killed = row([], st.Failed(finished_at=AT, cause=st.Signal(number=9, name="SIGKILL")))
    assert (killed["exit_code"], killed["cause"]["kind"]) == (None, "signal")
    assert row([], st.TimedOut(finished_at=AT, timeout_s=2.0))["cause"] == {
        "kind": "timeout",
        "timeout_s": 2.0,
    }


def test_what_else_is_to_be_told_is_in_the_note() -> None:
    notes = [{"kind": ev.NOTE, "at": AT, "text": text} for text in ("one", "two")]
    assert row(notes)["note"] == "one; two"
