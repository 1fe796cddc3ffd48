"""core/toml_edit.py: one table changes, and not a byte of the others."""

from __future__ import annotations

from typing import Any

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as some

from dobby.core.toml_edit import drop_table, dump_table, put_table

HOST = """\
# The lab's big machine.
python = "/opt/python3"   # newest

[variables]
A = "1"

# Where the team looks.
[channel.team]
kind = "slack"
webhook = "https://old.example/x"   # rotated in May

# Nightly people.
[channel."n.i"]   # quoted
kind = "email"
to = [
  "a@b",  # [channel.team]
]
"""

WORDS = (
    some.text(max_size=30)
    .filter(lambda t: t.isprintable() or "\n" in t)
    .filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t))
)
VALUES = some.dictionaries(
    some.text(min_size=1, max_size=8).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)),
    WORDS | some.booleans() | some.integers(-(2**60), 2**60) | some.lists(WORDS, max_size=3),
    max_size=5,
)


def test_a_table_takes_the_old_ones_place_and_the_rest_stays() -> None:
    after = put_table(HOST, ["channel", "team"], {"kind": "slack", "webhook": "https://new.example/y"})
    old = 'webhook = "https://old.example/x"   # rotated in May'
    assert after == HOST.replace(old, 'webhook = "https://new.example/y"')


def test_a_new_table_goes_to_the_end() -> None:
    assert put_table("", ["host", "gpu"], {"ssh": "me@gpu"}) == '[host.gpu]\nssh = "me@gpu"\n'
    assert put_table(HOST, ["channel", "x"], {"kind": "webhook", "log_lines": True, "on": ("lost",)}) == (
        HOST + '\n[channel.x]\nkind = "webhook"\nlog_lines = true\non = ["lost"]\n'
    )
    assert put_table("a = 1", ["b"], {"c": 2}) == "a = 1\n\n[b]\nc = 2\n"


def test_a_dropped_table_leaves_comments_and_others() -> None:
    after = drop_table(HOST, ["channel", "team"])
    assert tomllib.loads(after)["channel"] == {"n.i": {"kind": "email", "to": ["a@b"]}}
    for comment in (
        "The lab",
        "newest",
        "Where the team looks",
        "Nightly people",
        "quoted",
        "[channel.team]",
    ):
        assert comment in after
    assert "rotated" not in after


def test_tables_within_go_too() -> None:
    text = "[host.gpu]\nssh = 'x'\n[host.gpu.slurm]\na = 1\n[host.cpu]\nssh = 'y'\n"
    assert drop_table(text, ["host", "gpu"]) == "[host.cpu]\nssh = 'y'\n"


def test_what_is_not_there_is_not_dropped() -> None:
    with pytest.raises(KeyError):
        drop_table(HOST, ["channel", "other"])


@pytest.mark.parametrize(
    "text",
    [
        'channel = { team = { kind = "slack" } }\n',
        'channel.team.kind = "slack"\n',
        '[channel]\nteam = { kind = "slack" }\n',
        '[channel]\nteam.kind = "slack"\n',
    ],
)
def test_another_form_is_left_to_people(text: str) -> None:
    with pytest.raises(ValueError, match="only a person"):
        drop_table(text, ["channel", "team"])
    with pytest.raises(ValueError, match="only a person"):
        put_table(text, ["channel", "team"], {"kind": "email"})


def test_what_is_no_toml_is_not_edited() -> None:
    with pytest.raises(ValueError, match="line 1"):
        put_table("a = hello\n", ["x"], {})


def test_line_ends_stay_as_they_were() -> None:
    text = HOST.replace("\n", "\r\n")
    after = put_table(text, ["channel", "x"], {"kind": "slack"})
    assert after.replace("\r\n", "") == after.replace("\r\n", "\n").replace("\n", "")
    assert after.startswith(text)


def test_a_header_within_a_text_is_no_header() -> None:
    text = 'a = """\n[channel.team]\n"""\n'
    after = put_table(text, ["channel", "team"], {"kind": "x"})
    assert after.startswith(text)
    assert drop_table(after, ["channel", "team"]).startswith(text)


@given(VALUES, some.text(max_size=8).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)))
def test_what_was_written_is_read_back(values: dict[str, Any], name: str) -> None:
    assert tomllib.loads(dump_table(["t", name], values)) == {"t": {name: values}}
    after = put_table(HOST, ["channel", name], values)
    kept = tomllib.loads(HOST)
    assert tomllib.loads(after) == {**kept, "channel": {**kept["channel"], name: values}}
    dropped = tomllib.loads(drop_table(after, ["channel", name]))
    assert dropped == tomllib.loads(
        drop_table(HOST, ["channel", name]) if name in ("team", "n.i") else HOST
    )
