"""Run directories as earlier versions wrote them must load for ever.

`schema-1/` is never edited: a new shape gets a directory of its own beside it. EXPECTED says
what each run in it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dobby.core import events, layout, request, status, view

HOMES = Path(__file__).parent

EXPECTED: dict[str, list[tuple[str, str | None]]] = {
    "schema-1/nightly": [
        ("succeeded", "exit"),
        ("failed", "exit"),
        ("failed", "signal"),
        ("failed", "out_of_memory"),
        ("failed", "environment"),
        ("failed", "internal"),
        ("stopped", "stopped"),
        ("timed_out", "timeout"),
        ("lost", "rebooted"),
    ],
    "schema-1/import": [
        ("lost", "supervisor_killed"),
        ("running", None),
        ("queued", None),
        ("preparing", None),
    ],
}


def read(path: str) -> bytes | None:
    file = Path(path)
    return file.read_bytes() if file.exists() else None


def load(run: layout.Run) -> view.RunView:
    content = json.loads(read(run.request) or b"")
    final = read(run.final)
    return view.make_view(
        request.parse_request(content["request"]),
        content["seq"],
        content["created_at"],
        events.parse_events(read(run.events) or b""),
        status.parse_final(json.loads(final)) if final else None,
        len(read(run.log) or b""),
    )


def runs_of(name: str) -> list[layout.Run]:
    schema, label = name.split("/")
    job = layout.Job(home=str(HOMES / schema), project="shop", label=label)
    return [job.run(path.name) for path in sorted(Path(job.runs).iterdir())]


@pytest.mark.parametrize("name", EXPECTED)
def test_old_runs_load_as_what_they_were(name: str) -> None:
    rows: list[dict[str, Any]] = [view.to_row(load(run), "big") for run in runs_of(name)]
    assert [(row["status"], (row["cause"] or {}).get("kind")) for row in rows] == EXPECTED[name]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))


def test_every_status_and_cause_has_an_old_example() -> None:
    seen = [pair for pairs in EXPECTED.values() for pair in pairs]
    assert {name for name, _ in seen} == set(status.NAMES)
    assert {kind for _, kind in seen} >= set(status.CAUSES)


def test_an_old_request_keeps_its_values() -> None:
    first = load(runs_of("schema-1/nightly")[0]).request
    assert first.modules[0].name == "core"
    assert first.variables == (("MODE", "full"), ("NOTE", "it's\nfine"))
    assert (first.timeout_s, first.forward, first.dir) == (7200.0, ("API_KEY",), "jobs/etl")


def test_exits_of_old_wrappers_are_understood() -> None:
    exits = [json.loads(data) for run in runs_of("schema-1/nightly") if (data := read(run.exit))]
    assert [type(status.parse_cause(e["cause"])).__name__ for e in exits] == [
        *("Exit", "Exit", "Signal", "OutOfMemory", "Signal", "Signal")
    ]
