"""views: what a terminal, a pipe and a script are given."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dobby.config import known_settings, resolve
from dobby.core.errors import Busy
from dobby.core.sizes import size_text
from dobby.views import json as json_view
from dobby.views import table, units
from dobby.views.log import Sanitizer, clean_cell, clean_text

SGR = re.compile(rb"\x1b\[[0-9;:]*m")


def row(**changes: Any) -> dict[str, Any]:
    return {
        "host": "gpu",
        "project": "shop",
        "label": "etl",
        "run_id": "r1",
        "status": "succeeded",
        "exit_code": 0,
        "cause": {"kind": "exit", "code": 0},
        "command": "python etl.py",
        "revision": "main",
        "commit": "0123456789" * 4,
        "user": "ann",
        "created_at": "2026-01-01T10:00:00.000Z",
        "started_at": "2026-01-01T10:00:05.000Z",
        "finished_at": "2026-01-01T10:01:17.000Z",
        "duration_s": 72.0,
        **changes,
    }


def cleaned(*chunks: bytes) -> bytes:
    sanitizer = Sanitizer()
    return b"".join(map(sanitizer.feed, chunks)) + sanitizer.finish()


# --- log -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"plain\r\n\ttext \xc3\xa9\n", b"plain\r\n\ttext \xc3\xa9\n"),
        (b"\x1b[1;38:5:9mred\x1b[0m", b"\x1b[1;38:5:9mred\x1b[0m\x1b[0m"),
        (b"a\x1b[2Jb\x1b[?25lc\x1b[10;10Hd", b"abcd"),
        (b"a\x1b]0;title\x07b\x1b]52;c;aGk=\x1b\\c", b"abc"),
        (b"a\x1bPq#0\x1b\\b\x1bcd\x1b(Be\x1b7f", b"abdef"),
        (b"bell\x07 nul\x00 back\x08 del\x7f", b"bell^G nul^@ back^H del^?"),
        (b"\x9b31m \xc2\x9b31m", b"\xef\xbf\xbd31m \\x9b31m"),
        (b"\xff\xfe bad", b"\xef\xbf\xbd\xef\xbf\xbd bad"),
        (b"open \x1b]0;never ends\nnext", b"open ^[]0;never ends\nnext"),
        (b"cut \x1b[31", b"cut ^[[31"),
        (b"twice \x1b\x1b[2J", b"twice ^["),
        (b"\x1b]x\x1b[31mred", b"^[]x\x1b[31mred\x1b[0m"),
        (b"cut \xe2\x82", b"cut \xef\xbf\xbd"),
    ],
)
def test_what_a_job_says_is_made_harmless(said: bytes, shown: bytes) -> None:
    assert cleaned(said) == shown
    assert cleaned(*(said[i : i + 1] for i in range(len(said)))) == shown


def test_what_is_harmless_is_shown_at_once() -> None:
    sanitizer = Sanitizer()
    assert sanitizer.feed(b"50 %\r") == b"50 %\r"
    assert sanitizer.feed(b"\xe2\x82") == b""
    assert sanitizer.feed(b"\xac\x1b[3") == "€".encode()
    assert sanitizer.feed(b"1mx") == b"\x1b[31mx"


def test_an_endless_sequence_is_not_waited_for() -> None:
    sanitizer = Sanitizer()
    shown = sum(len(sanitizer.feed(b"\x1b]" + b"x" * 1000)) for _ in range(100))
    shown += sum(len(sanitizer.feed(b"y" * 1000)) for _ in range(10))
    assert shown > 100_000


NASTY = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from([b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"m", b"31", b";", b"\x07", b"\x1b\\"]),
        st.sampled_from([b"\x9b", b"\xc2", b"\xc2\x9b", b"\xe2\x82\xac", b"\x1b[0m", b"\x1b[2J", b"\r\n"]),
    ),
    max_size=30,
)


def is_harmless(shown: bytes) -> bool:
    text = SGR.sub(b"", shown).decode()  # strict: it must be UTF-8
    return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


@given(NASTY)
def test_never_a_control_byte_but_colour_however_it_is_cut(chunks: list[bytes]) -> None:
    whole = cleaned(b"".join(chunks))
    assert is_harmless(whole)
    assert cleaned(*chunks) == whole
    sanitizer = Sanitizer()  # not only once all is said, but at each moment
    shown = b""
    for chunk in chunks:
        shown += sanitizer.feed(chunk)
        assert is_harmless(shown)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=50))
def test_text_is_left_as_it_is(text: str) -> None:
    assert cleaned(text.encode()) == text.encode()


@given(st.text(max_size=50))
def test_cells_are_one_line_without_controls(text: str) -> None:
    cell = clean_cell(text)
    assert cell.isprintable()
    assert clean_cell(cell) == cell
    assert clean_text(text).replace("\n", "").replace("\t", "").isprintable()


def test_cells_show_what_they_escape() -> None:
    assert clean_cell("a\nb\x1b[2J\u202e\udc80é") == "a\\nb\\x1b[2J\\u202e\\udc80é"
    assert clean_text("a\n\tb\x1b]0;x\x07") == "a\n\tb\\x1b]0;x\\x07"


# --- tables ----------------------------------------------------------------------------------


def test_a_plain_table_is_aligned_and_whole() -> None:
    long = "python " + "x" * 300
    plain = table.of_runs([row(), row(label="a-longer-label", command=long)]).plain()
    lines = plain.splitlines()
    assert [line.index("gpu") for line in lines[1:]] == [lines[0].index("HOST")] * 2
    assert lines[1].split() == [
        *("etl", "gpu", "succeeded", "2026-01-01T10:00:05.000Z", "1m12s"),
        *("main", "0123456", "ann", "python", "etl.py"),
    ]
    assert lines[2].endswith(long)
    assert "\t" not in plain


def test_an_empty_table_is_its_header() -> None:
    assert table.of_runs([]).plain().split() == list(table.RUN_HEADER)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "succeeded"),
        ({"status": "queued", "cause": None, "behind": "r0"}, "queued (behind r0)"),
        ({"status": "preparing", "cause": None, "phase": "environment"}, "preparing (environment)"),
        ({"status": "running", "cause": None}, "running"),
        ({"status": "failed", "cause": {"kind": "exit", "code": 3}}, "failed (exit 3)"),
        (
            {
                "status": "failed",
                "cause": {
                    "kind": "environment",
                    "step": "environment",
                    "code": 1,
                    "tail": "No solution",
                    "command": "/opt/bin/uv sync --frozen /long/path",
                },
            },
            "failed (environment: uv sync, exit 1)",
        ),
        (
            {"status": "failed", "cause": {"kind": "environment", "step": "sandbox", "tail": "broken"}},
            "failed (sandbox: broken)",
        ),
        (
            {
                "status": "failed",
                "cause": {
                    "kind": "signal",
                    "number": 9,
                    "name": "SIGKILL",
                    "hint": "probably out of memory",
                },
            },
            "failed (SIGKILL, probably out of memory)",
        ),
        ({"status": "failed", "cause": {"kind": "out_of_memory"}}, "failed (out of memory)"),
        ({"status": "failed", "cause": {"kind": "internal", "message": "no fork"}}, "failed (no fork)"),
        ({"status": "stopped", "cause": {"kind": "stopped", "by": "bob"}}, "stopped (by bob)"),
        (
            {"status": "timed_out", "cause": {"kind": "timeout", "timeout_s": 7200}},
            "timed_out (after 2h00m)",
        ),
        ({"status": "lost", "cause": {"kind": "rebooted"}}, "lost (host rebooted)"),
        ({"status": "lost", "cause": {"kind": "supervisor_killed"}}, "lost (supervisor killed)"),
        ({"status": "lost", "cause": {"kind": "of_tomorrow"}}, "lost (of tomorrow)"),
    ],
)
def test_the_status_says_what_decided_it(changes: dict[str, Any], text: str) -> None:
    assert table.status_text(row(**changes)) == text


def test_projects_are_named_where_it_matters() -> None:
    def labels(rows: list[dict[str, Any]], here: str = "") -> list[str]:
        return [cells[0] for cells in table.of_runs(rows, here=here).rows]

    assert labels([row()]) == ["etl"]
    assert labels([row()], here="other") == ["shop/etl"]
    assert labels([row(), row(project="web")]) == ["shop/etl", "web/etl"]
    assert labels([row(), row(project="web")], here="shop") == ["etl", "web/etl"]


def test_people_are_told_ages() -> None:
    now = datetime(2026, 1, 1, 13, 0, 5, tzinfo=UTC)
    live = row(status="running", duration_s=None, cause=None)
    cells = table.of_runs([row(), live, row(started_at="strange")], now=now).rows
    assert [c[3] for c in cells] == ["3h ago", "3h ago", "strange"]
    assert [c[4] for c in cells] == ["1m12s", "3h00m", "1m12s"]


def test_a_row_with_nothing_in_it_is_still_shown() -> None:
    cells = table.of_runs([{"label": "etl", "note": "unreadable"}]).rows[0]
    assert cells[:5] == ("etl", "", "unreadable", "-", "-")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4s"), (59, "59s"), (185, "3m05s"), (7800, "2h10m"), (356400, "4d3h")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert units.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (12_300_000, "12 MB"), (3 * 10**9, "3.0 GB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


def test_on_a_terminal_no_cell_is_taken_for_markup_or_control() -> None:
    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, color_system="standard")
    console.print(table.of_runs([row(label="[red]x[/]", command="a\x1b]0;t\x07b\nc")]).rich())
    shown = out.getvalue()
    assert "[red]x[/]" in shown
    assert r"a\x1b]0;t\x07b\nc" in shown
    assert is_harmless(shown.encode())
    assert "\x1b[32msucceeded" in shown


def test_a_long_command_is_cut_on_a_terminal() -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, force_terminal=True, width=120).print(table.of_runs([row(command="x" * 500)]).rich())
    assert "…" in out.getvalue()
    assert len(out.getvalue().splitlines()) == 3


def test_settings_with_their_sources() -> None:
    options = resolve(environ={"DOBBY_HOST": "gpu"}, user_file=("/u", "[host.gpu]\nssh = 'me@gpu'"))
    plain = table.of_settings(options, known_settings()).plain()
    assert re.search(r"^host +gpu +\$DOBBY_HOST$", plain, re.M)
    assert re.search(r"^timeout +- +default$", plain, re.M)
    assert re.search(r"^host\.gpu +me@gpu ", plain, re.M)


# --- JSON ------------------------------------------------------------------------------------


def test_json_has_the_fields_of_the_contract_first() -> None:
    launched = json_view.of_launch({**row(), "more": 1}, "dobby logs etl -f")
    assert list(launched)[:8] == list(json_view.RUN_FIELDS)
    assert launched["more"] == 1
    shown = json_view.of_row(row())
    assert list(shown)[: len(json_view.ROW_FIELDS)] == list(json_view.ROW_FIELDS)
    assert shown["notices"] is None
    listing = json.loads(json_view.dump(json_view.of_listing([row()], [{"host": "gpu"}])))
    assert list(listing) == ["schema", "runs", "hosts"]
    assert listing["schema"] == 1


def test_json_is_one_harmless_line() -> None:
    text = json_view.dump(json_view.of_row(row(label="a\x1b[2J\x9b\x7f\udc80\n")))
    assert re.fullmatch(r"[ -~]+", text)
    assert json.loads(text)["label"] == "a\x1b[2J\x9b\x7f\udc80\n"


def test_errors_keep_their_details() -> None:
    wire = json_view.of_error(Busy("held", "stop it", holder={"run_id": "r0"}))["error"]
    assert wire == {"kind": "busy", "message": "held", "hint": "stop it", "holder": {"run_id": "r0"}}


def test_a_long_reason_is_cut_in_the_table_alone() -> None:
    cause = {"kind": "environment", "step": "environment", "code": None, "tail": "no " * 40}
    long = row(status="failed", cause=cause)
    assert len(table.status_text(long)) > 100
    assert max(map(len, table.of_runs([long]).rows[0])) <= table.STATUS_WIDTH
