"""What is read without regular expressions is what `tomllib` reads; the rest is left to core/toml.py."""

from __future__ import annotations

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from dobby.core import toml_plain

SETTINGS = """\
# for all of us
max_running = 2
path = ["~/bin", "/opt/bin"]
none = []

[variables]
  HTTPS_PROXY = "http://proxy:3128"
[channel.team]
kind = "slack"
log_lines = true
\t[channel.ops-1]
kind = "e mail, or so"
"""
ODD = r'''
a = 1
a = 01
a = -1
a = 1_0
b.c = 1
[a]
[a.b]
[[a]]
[ a ]
[]
[a.]
[a]]
c
= 1
c = tru
c = "x" # y
c = "
c = """
c = ""
c = 'x'
c = "\t"
"
]
d = [
d = [[]]
d = ["a,b"]
d = ["a",]
"e" = 1
é = 1
f = 1979-05-27
- = 1
g = ٣
g = 9999999999999999
h = true
h = { }
'''
LINES = (*SETTINGS.splitlines(), *ODD.splitlines(), 'c = "\x01"', "\u00a0", "\r", "#\x01", 'i = "é\u2028"')


def test_plain_settings_are_read() -> None:
    assert toml_plain.parse(SETTINGS) == tomllib.loads(SETTINGS)
    assert toml_plain.parse("") == {}


@pytest.mark.parametrize(
    "line", ["a = 1\na = 2", "[a]\n[a]", "x", 'c = "x" # y', "[a.b]\n[a]", "a = 1\n[a.b]"]
)
def test_what_is_wrong_or_odd_is_left_to_others(line: str) -> None:
    assert toml_plain.parse(line) is None


@given(st.lists(st.sampled_from(LINES), max_size=6).map("\n".join))
def test_it_never_reads_what_tomllib_would_not(text: str) -> None:
    found = toml_plain.parse(text)
    if found is not None and not any(c in text for c in "\x01\r"):  # in a comment; they do no harm
        assert found == tomllib.loads(text)
