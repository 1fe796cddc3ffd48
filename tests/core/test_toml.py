"""core/toml.py: whatever `tomllib` accepts is read to the same value."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from dobby.core import toml
from dobby.core.toml import parse

EXAMPLE = """\
# the host's care
python = '/opt/py/bin/python3'   # literal
path = [
    "~/bin",  # first
    "/opt/bin",
]
max_running = 1_000
mask = 0x1F
ratio = -1.5e3
on.failed = true
on.lost = false
point = { x = 1, y.z = "2" }
long = \"\"\"
two
lines\"\"\"
"quoted key" = "tab\\t \\u00e9 \\U0001F600 \\\\ \\" end"

[variables]
HTTPS_PROXY = "http://proxy:3128"

[channel.team]
kind = "slack"
[channel."a.b"]
nested = [[1, 2], ["x"], []]
[channel]
[[rule]]
a = 1
[[rule]]
a = 2
"""


def test_the_example_means_what_tomllib_says() -> None:
    assert parse(EXAMPLE) == tomllib.loads(EXAMPLE)
    assert parse(EXAMPLE.replace("\n", "\r\n")) == tomllib.loads(EXAMPLE)
    assert parse("") == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = hello", 2),
        ("a =", 1),
        ("a", 1),
        ("= 1", 1),
        ("a = 1 b = 2", 1),
        ("a = 1\na = 2", 2),
        ("a = 1\n[a]", 2),
        ('a = "x', 1),
        ("a = 'x", 1),
        ('a = "\\q"', 1),
        ("a = [1 2]", 1),
        ("[a", 1),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=rf"^line {line}\b"):
        parse(text)


FRAGMENTS = st.sampled_from(
    [
        *("a", "b", "-1", "1.5", "0", "1e3", "1_0", "+3", "true", "false", "0x1f", "inf"),
        *('"', "'", '"""', "'''", "\\", "\\n", "\\u0041", "[", "]", "[a]", "[b.a]", "[[c]]", "{", "}"),
        *(".", "=", " = ", ",", "#", "\n", "\n", " ", "\t", "\r\n", "é"),
        *("a = 1\n", "b = [1, 2]\n", "a.b = 'x'\n", '"k" = "v"\n', "d = {a = 1}\n"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_what_tomllib_accepts_is_read_the_same(text: str) -> None:
    try:
        theirs = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        try:
            parse(text)  # may be accepted or not, but never with another exception
        except ValueError as error:
            assert str(error).startswith("line ")  # noqa: PT017 (accepting it is right too)
        return
    assert repr(parse(text)) == repr(theirs)  # repr: 1 is not 1.0 is not True


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_survives_in_quotes(content: str) -> None:
    escaped = "".join(f"\\U{ord(c):08X}" if ord(c) < 32 or c in '"\\\x7f' else c for c in content)
    document = f'"{escaped}" = "{escaped}"'
    assert parse(document) == tomllib.loads(document) == {content: content}


SCALARS = st.one_of(
    st.integers(-(10**17), 10**17), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@given(st.dictionaries(st.from_regex(r"[a-z_-]{1,5}", fullmatch=True), VALUES, max_size=5))
def test_numbers_booleans_and_lists(table: dict[str, object]) -> None:
    document = "".join(f"{key} = {str(value).lower()}\n" for key, value in table.items())
    assert parse(document) == tomllib.loads(document) == table


USUAL = """\
# what most hosts say
max_running = 2
min_free_mb = 200
path = ["~/bin", "/opt/bin"]  # first these
[variables]
HTTPS_PROXY = "http://proxy:3128"
[channel.team]
kind = 'slack'
team = true
"""


def test_usual_settings_need_no_regular_expression() -> None:
    """A host reads them at every launch, and `re` takes as long to import as Python to start."""
    src = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(toml.__file__))))
    script = (
        f"import sys; sys.path.insert(0, {src!r}); from dobby.core import toml;"
        f"print(toml.parse({USUAL!r}), 're' in sys.modules)"
    )
    argv = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{tomllib.loads(USUAL)} False"
