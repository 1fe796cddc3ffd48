"""dobby's `json` is Python's own, whatever it is given."""

from __future__ import annotations

import json as pythons
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dobby.core import json

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"separators": (",", ":")},
    {"sort_keys": True},
    {"ensure_ascii": False},
)
KEYS = st.text() | st.integers() | st.none() | st.booleans() | st.floats()
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(KEYS, inner), max_leaves=8
)


UNIMPORTED = """\
import sys
sys.path.insert(0, {src!r})
from dobby.core import json
assert "json" not in sys.modules
try:
    json.loads({text!r})
except ValueError as error:
    print(error)
"""


def outcome(function: Callable[..., Any], *args: Any, **how: Any) -> str:
    try:
        return repr(function(*args, **how))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@given(VALUES)
def test_what_is_written(value: Any) -> None:
    for how in WAYS:
        assert outcome(json.dumps, value, **how) == outcome(pythons.dumps, value, **how)


@given(
    VALUES.map(lambda value: outcome(pythons.dumps, value)), st.integers(0, 50), st.sampled_from('x," \n}]')
)
def test_what_is_read(text: str, at: int, more: str) -> None:
    for data in (text, text[:at] + more + text[at:], text[:at]):
        assert outcome(json.loads, data) == outcome(pythons.loads, data)
        raw = data.encode("utf-8", "surrogatepass")
        assert outcome(json.loads, raw) == outcome(pythons.loads, raw)


@pytest.mark.parametrize(
    "text",
    [
        *("\ufeff{}", b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"\xff", '"\0"', "[1,]", '{"a":1,}', "NaN"),
        *("-Infinity", "[[[", "", b"", " 1\n", "1 2", "\v1", "[" * 100_000, '"\\ud800"', '{"a":1,"a":2}'),
    ],
)
def test_odd_texts(text: str | bytes) -> None:
    assert outcome(json.loads, text) == outcome(pythons.loads, text)


def test_odd_values() -> None:
    ring: list[Any] = []
    ring.append(ring)
    for value in ({1, 2}, object, {(1, 2): 3}, ring):
        assert outcome(json.dumps, value) == outcome(pythons.dumps, value)


@pytest.mark.parametrize("python", [sys.executable, "/usr/bin/python3"])
@pytest.mark.parametrize("text", ['{"a', '{"a":}', "[1", "nothing", '"\\u12"'])
def test_what_is_wrong_where_pythons_own_is_not_imported_yet(python: str, text: str) -> None:
    if not os.path.exists(python):
        pytest.skip(f"there is no {python} here")
    src = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(json.__file__))))
    script = UNIMPORTED.format(src=src, text=text)
    done = subprocess.run([python, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    with pytest.raises(ValueError) as wrong:
        pythons.loads(text)
    assert done.stdout.strip() == str(wrong.value)
