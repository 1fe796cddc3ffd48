"""What of a log is told: its end, the line that looks like the error, and no secret."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dobby.core import excerpt
from dobby.core.excerpt import Excerpt, find_error, mask, take


def of(text: str, **given: object) -> Excerpt:
    return take(text.encode(), is_cut=bool(given.get("is_cut")), secrets=given.get("secrets", ()))  # type: ignore[arg-type]


def test_the_last_twenty_lines() -> None:
    text = "".join(f"line {n}\n" for n in range(50))
    assert of(text).tail == tuple(f"line {n}" for n in range(30, 50))


@pytest.mark.parametrize("text", ["", "\n\n", " \n"])
def test_a_log_that_says_nothing_has_no_lines(text: str) -> None:
    assert of(text) == Excerpt()


def test_what_was_cut_loses_its_half_line() -> None:
    assert of("half of a line\nwhole\n", is_cut=True).tail == ("whole",)
    endless = of("x" * 5000, is_cut=True).tail
    assert len(endless) == 1
    assert endless[0].startswith("…x")
    assert len(endless[0]) <= excerpt.MOST_CHARACTERS


def test_only_the_last_megabyte_is_looked_at() -> None:
    early = "error: early\n" + "fine\n" * (excerpt.MOST_BYTES // 5) + "the end\n"
    assert of(early).error_line == ""
    assert of(early).tail[-1] == "the end"


def test_a_progress_bar_shows_its_last_state() -> None:
    assert of("1%\r50%\r100%\r\ndone\n").tail == ("100%", "done")


def test_colours_and_controls_are_gone() -> None:
    hostile = "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07\x1b[2J\x9b1mx\x00 \u202egnp\n"
    assert of(hostile).tail == ("red �1mx� �gnp",)


@given(some.binary(max_size=3000), some.booleans())
def test_no_bytes_make_anything_else_than_harmless_lines(data: bytes, is_cut: bool) -> None:
    found = take(data, is_cut=is_cut, secrets=["hunter22"])
    assert len(found.tail) <= excerpt.LINES
    for line in (*found.tail, found.error_line):
        assert line.encode().isascii() or line.encode()
        assert not any((ord(c) < 32 and c != "\t") or 127 <= ord(c) < 160 for c in line)
        assert len(line) <= excerpt.MOST_CHARACTERS


# --- the error ---------------------------------------------------------------------------------

TRACEBACK = """\
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
    ~^^
KeyError: 'price'
"""

CASES = {
    "a traceback": (TRACEBACK + "\nbye\n", "KeyError: 'price'"),
    "the last of a chain": (
        "Traceback (most recent call last):\n  File x\nValueError: first\n\n"
        "During handling of the above exception, another exception occurred:\n\n" + TRACEBACK,
        "KeyError: 'price'",
    ),
    "an exception without a message": (
        "Traceback (most recent call last):\n  File x\nAssertionError\n",
        "AssertionError",
    ),
    "an exception of a package": (
        "Traceback (most recent call last):\n  File x\nsqlalchemy.exc.OperationalError: (gone)\n",
        "sqlalchemy.exc.OperationalError: (gone)",
    ),
    "one in a container's log": (
        "app | Traceback (most recent call last):\napp |   File x\napp | OSError: [Errno 28] full\n",
        "app | OSError: [Errno 28] full",
    ),
    "one that was logged and went on": (
        TRACEBACK + "ok\n" * 50 + "x.c:3:5: error: no ';'\n",
        "x.c:3:5: error: no ';'",
    ),
    "what a logger adds after a traceback": (TRACEBACK + "ERROR: task failed\n", "KeyError: 'price'"),
    "gcc": (
        "x.c:3:5: error: expected ';'\nx.c:9:1: error: unknown type\nmake: *** [x.o] Error 1\n",
        "x.c:3:5: error: expected ';'",
    ),
    "rustc": (
        "error[E0308]: mismatched types\n --> a.rs\nerror: could not compile `x`\n",
        "error[E0308]: mismatched types",
    ),
    "tsc": (
        "a.ts(3,1): error TS2304: Cannot find name 'x'.\n",
        "a.ts(3,1): error TS2304: Cannot find name 'x'.",
    ),
    "node": ("TypeError: x is not a function\n    at a.js:1:1\n", "TypeError: x is not a function"),
    "go": ("panic: runtime error\n\ngoroutine 1:\n", "panic: runtime error"),
    "R": ("Error in f(x) : no such thing\nExecution halted\n", "Error in f(x) : no such thing"),
    "a shell": ("bash: line 1: etl: command not found\n", "bash: line 1: etl: command not found"),
    "the last of a logger's": ("ERROR retry 1\nERROR retry 2\nbye\n", "ERROR retry 2"),
    "nothing of the kind": ("0 errors, all fine\n", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_that_looks_like_the_error(case: str) -> None:
    text, line = CASES[case]
    assert find_error(text.split("\n")) == line


@given(some.from_regex(excerpt._SAID.pattern) | some.from_regex(excerpt._COMPILER.pattern))
def test_what_an_expression_finds_has_one_of_the_words(line: str) -> None:
    assert any(word in line.lower() for word in excerpt._WORDS)


# --- masking -----------------------------------------------------------------------------------

TEXT = some.text(some.characters(exclude_categories=["Cs"]), min_size=4, max_size=30).map(str.strip)


@given(TEXT.filter(lambda t: len(t) >= 4 and "*" not in t), TEXT, TEXT)
def test_a_secret_is_in_nothing_that_is_told(secret: str, before: str, after: str) -> None:
    said = "\n".join([before + secret + after, json.dumps(secret), quote(secret, safe=""), repr(secret)])
    assert secret.encode() not in mask(said.encode(), [secret])


def test_each_way_of_writing_it_is_masked() -> None:
    secret = 'p"ss/wörd+1'
    for written in (secret, json.dumps(secret), repr(secret), quote(secret), quote(secret, safe="")):
        assert "ss" not in mask(f"at {written} end".encode(), [secret]).decode()


def test_a_secret_of_many_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    assert of("hkiG9w0BAQEFAASC\ndone\n", secrets=[key]).tail == ("***", "done")


def test_the_longest_secret_goes_first() -> None:
    assert mask(b"abcdefgh", ["abcd", "abcdefgh"]) == b"***"


def test_a_short_one_is_masked_where_it_stands_alone() -> None:
    assert mask(b"pin 42, 1423 rows", ["42", "", " "]) == b"pin ***, 1423 rows"


def test_half_a_secret_at_the_cut_is_not_shown() -> None:
    data = b"x" * 10 + b"secret-secret\nend\n"
    assert take(data[14:], is_cut=True, secrets=["secret-secret"]).tail == ("end",)
