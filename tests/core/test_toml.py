"""core/toml.py: a subset of TOML that means the same as in tomllib."""

from __future__ import annotations

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from dobby.core.toml import parse_toml

EXAMPLE = """\
# the host's care
python = '/opt/py/bin/python3'   # literal
path = [
    "~/bin",  # first
    "/opt/bin",
]
max_running = 1_000
ratio = -1.5e3
on.failed = true
on.lost = false
"quoted key" = "tab\\t \\u00e9 \\U0001F600 \\\\ \\" end"

[variables]
HTTPS_PROXY = "http://proxy:3128"

[channel.team]
kind = "slack"
[channel."a.b"]
nested = [[1, 2], ["x"], []]
[channel]
"""


def test_the_example_means_what_tomllib_says() -> None:
    assert parse_toml(EXAMPLE) == tomllib.loads(EXAMPLE)
    assert parse_toml(EXAMPLE.replace("\n", "\r\n")) == tomllib.loads(EXAMPLE)
    assert parse_toml("") == {}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a = 1\nb = 2026-01-01", 2, "quotes"),
        ("a = {b = 1}", 1, "inline"),
        ("[[a]]", 1, "arrays of tables"),
        ('a = """x"""', 1, "multi-line"),
        ("a = '''x'''", 1, "multi-line"),
        ("a = hello", 1, "quotes"),
        ("a = 0x1f", 1, "quotes"),
        ("a = 01", 1, "no value"),
        ("a =", 1, "no value"),
        ("a", 1, "="),
        ("= 1", 1, "key"),
        ("a = 1 b = 2", 1, "one key"),
        ("a = 1\na = 2", 2, "second time"),
        ("[a]\n[a]", 2, "second time"),
        ("a = 1\n[a]", 2, "value already"),
        ("a.b = 1\n[a]", 2, "value already"),
        ("[a.b]\n[a]\nb.c = 1", 3, "set already"),
        ('a = "x', 1, "does not end"),
        ("a = 'x", 1, "does not end"),
        ('a = "\\x41"', 1, "\\\\"),
        ('a = "\\ud800"', 1, "\\\\"),
        ("a = [1 2]", 1, "comma"),
        ("a = [1,\n2", 2, "comma"),
        ("a = " + "[" * 40, 1, "nested"),
        ("a = 1 # \x07", 1, "not expected"),
        ("[a", 1, "]"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(ValueError, match=rf"^line {line}: ") as caught:
        parse_toml(text)
    assert word in str(caught.value)


def agrees(text: str) -> bool:
    """Whether ours accepts; then tomllib must accept it too, with the same result."""
    try:
        ours = parse_toml(text)
    except ValueError:
        return False
    theirs = tomllib.loads(text)
    assert repr(ours) == repr(theirs)  # repr: 1 is not 1.0 is not True
    return True


FRAGMENTS = st.sampled_from(
    [
        *("a", "b", "-1", "1.5", "0", "1e3", "1_0", "+3", "true", "false", "nan", "07:32:00"),
        *('"', "'", "\\", "\\n", "\\u0041", "[", "]", "[a]", "[b.a]", "[a.b.c]", "{", "}"),
        *(".", "=", " = ", ",", "#", "\n", "\n", " ", "\t", "\r\n", "\r", "é", "\x00", "\x7f"),
        *("a = 1\n", "b = [1, 2]\n", "a.b = 'x'\n", '"k" = "v"\n'),
    ]
)


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_never_accepts_what_tomllib_reads_otherwise(text: str) -> None:
    agrees(text)


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_survives_in_quotes(content: str) -> None:
    escaped = "".join(f"\\U{ord(c):08X}" if ord(c) < 32 or c in '"\\\x7f' else c for c in content)
    document = f'"{escaped}" = "{escaped}"'
    assert agrees(document)
    assert parse_toml(document) == {content: content}


SCALARS = st.one_of(
    st.integers(-(10**17), 10**17), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@given(st.dictionaries(st.from_regex(r"[a-z_-]{1,5}", fullmatch=True), VALUES, max_size=5))
def test_numbers_booleans_and_lists_are_accepted(table: dict[str, object]) -> None:
    document = "".join(f"{key} = {str(value).lower()}\n" for key, value in table.items())
    assert agrees(document)
    assert parse_toml(document) == table
