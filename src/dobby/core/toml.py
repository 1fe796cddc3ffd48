"""Reads TOML 1.0, for hosts whose Python is older than `tomllib` (3.11) and to save its import.

Lenient where that does no harm: what `tomllib` accepts is read to the same value, except that
dates and times stay text; some of what it refuses is read too.
"""

from __future__ import annotations

from dobby.core.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Any

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_PLAIN = _BARE | frozenset("+.:")
_BLANK, _SPACE = frozenset(" \t"), frozenset(" \t\r\n")
_DIGITS = frozenset("0123456789")
_TIME = _DIGITS | frozenset(":.Z+-")
# Where a plain search does not do; what most settings hold needs none of them, nor the import of re.
_BASIC = regex(r'"((?:[^"\\\n]|\\.)*)"')
# Up to two quotes may stand before the three that close.
_LONG_BASIC = regex(r'(?s)"""(?:\r?\n)?((?:[^"\\]|\\.|"(?!""))*"{0,2})"""')
_LONG_LITERAL = regex(r"(?s)'''(?:\r?\n)?((?:[^']|'(?!''))*'{0,2})'''")
_ESCAPE = regex(r"(?s)\\(?:[ \t]*\r?\n[ \t\r\n]*|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\033", '"': '"', "\\": "\\"}
_INTEGER = regex(r"[+-]?(?:0x[0-9A-Fa-f_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)\Z")
_FLOAT = regex(r"[+-]?(?:inf|nan|[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][+-]?[0-9_]+)?)\Z")
_DATE = regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}:")


def parse(text: str) -> dict[str, Any]:
    """The document. Raises ValueError, which names the line."""
    return _read(text.replace("\r\n", "\n"))[0]


def sections(text: str) -> list[tuple[list[str], int, int]]:
    """The headers of `text`, which has no \\r\\n: each with its keys, where it begins, and where the
    last line of its table ends (comments behind that are none of it). Raises as `parse`."""
    return _read(text)[1]


def _read(text: str) -> tuple[dict[str, Any], list[tuple[list[str], int, int]]]:
    root: dict[str, Any] = {}
    table = root
    found: list[tuple[list[str], int, int]] = []
    at = _skip_lines(text, 0)
    while at < len(text):
        begin = at
        if text[at] == "[":
            width = 2 if text.startswith("[[", at) else 1
            keys, at = _keys(text, at + width)
            at = _expect(text, at, "]" * width)
            table = _open(root, keys, many=width == 2, text=text, at=at)
            found.append((keys, begin, at))
        else:
            at = _pair(text, at, table)
        at = _end_line(text, at)
        if found:
            found[-1] = (*found[-1][:2], at)
        at = _skip_lines(text, at)
    return root, found


def _pair(text: str, at: int, table: dict[str, Any]) -> int:
    """Put `keys = value` into `table`; where it ends."""
    keys, at = _keys(text, at)
    at = _skip(text, _expect(text, at, "="), _BLANK)
    value, at = _value(text, at)
    for key in keys[:-1]:
        table = _enter(table, key, text, at)
    if keys[-1] in table:
        raise _wrong(text, at, f"{keys[-1]!r} is there twice")
    table[keys[-1]] = value
    return at


def _open(root: dict[str, Any], keys: list[str], many: bool, text: str, at: int) -> dict[str, Any]:
    """The table that a header names."""
    table = root
    for key in keys[:-1]:
        table = _enter(table, key, text, at)
    if not many:
        return _enter(table, keys[-1], text, at)
    tables = table.setdefault(keys[-1], [])
    if not isinstance(tables, list):
        raise _wrong(text, at, f"{keys[-1]!r} is no array of tables")
    tables.append({})
    return tables[-1]  # type: ignore[no-any-return]


def _enter(table: dict[str, Any], key: str, text: str, at: int) -> dict[str, Any]:
    """The table `key` within `table`, of an array the last."""
    inner = table.setdefault(key, {})
    if isinstance(inner, list) and inner:
        inner = inner[-1]
    if not isinstance(inner, dict):
        raise _wrong(text, at, f"{key!r} is no table")
    return inner


def _keys(text: str, at: int) -> tuple[list[str], int]:
    """A dotted key."""
    keys = []
    while True:
        at = _skip(text, at, _BLANK)
        end = _skip(text, at, _BARE)
        string = _short_string(text, at) if end == at else (text[at:end], end)
        if string is None:
            raise _wrong(text, at)
        keys.append(string[0])
        at = _skip(text, string[1], _BLANK)
        if not text.startswith(".", at):
            return keys, at
        at += 1


def _value(text: str, at: int) -> tuple[Any, int]:
    if text.startswith("[", at):
        return _array(text, at + 1)
    if text.startswith("{", at):
        return _inline_table(text, at + 1)
    string = _long_string(text, at) or _short_string(text, at)
    if string is not None:
        return string
    end = _skip(text, at, _PLAIN)
    if end > at and text.startswith(" ", end) and text[end + 1 : end + 2] in _DIGITS:
        end = _skip(text, end + 1, _TIME)  # a date and a time
    return _scalar(text[at:end], text, at), end


def _short_string(text: str, at: int) -> tuple[str, int] | None:
    """What stands in quotes, and where that ends; None where nothing does."""
    quote = text[at : at + 1]
    end = text.find(quote, at + 1) if quote in ('"', "'") else -1
    inside = text[at + 1 : end]
    if quote == '"' and end > 0 and "\\" in inside:
        match = _BASIC.match(text, at)
        return (_unescape(match[1], text, at), match.end()) if match else None
    return (inside, end + 1) if end > 0 and "\n" not in inside else None


def _long_string(text: str, at: int) -> tuple[str, int] | None:
    """The same in three quotes."""
    if text.startswith('"""', at):
        match = _LONG_BASIC.match(text, at)
        return (_unescape(match[1], text, at), match.end()) if match else None
    match = _LONG_LITERAL.match(text, at) if text.startswith("'''", at) else None
    return (match[1], match.end()) if match else None


def _array(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while True:
        at = _skip_lines(text, at)
        if text.startswith("]", at):
            return values, at + 1
        value, at = _value(text, at)
        values.append(value)
        at = _skip_lines(text, at)
        if not text.startswith("]", at):
            at = _expect(text, at, ",")


def _inline_table(text: str, at: int) -> tuple[dict[str, Any], int]:
    table: dict[str, Any] = {}
    while True:
        at = _skip_lines(text, at)
        if text.startswith("}", at):
            return table, at + 1
        at = _skip_lines(text, _pair(text, at, table))
        if not text.startswith("}", at):
            at = _expect(text, at, ",")


def _scalar(word: str, text: str, at: int) -> Any:
    if word in ("true", "false"):
        return word == "true"
    if _DIGITS.issuperset(word) and word:
        return int(word)
    if _INTEGER.match(word):
        digits = word.replace("_", "")
        return int(digits, 0 if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)
    if _FLOAT.match(word):
        return float(word.replace("_", ""))
    if _DATE.match(word):
        return word
    raise _wrong(text, at)


def _unescape(inside: str, text: str, at: int) -> str:
    if "\\" not in inside:
        return inside

    def replaced(match: re.Match[str]) -> str:
        code, other = match[1] or match[2], match[3]
        if code:
            return chr(int(code, 16))
        if other is None:
            return ""
        if other not in _ESCAPES:
            raise _wrong(text, at, f"\\{other} is no escape")
        return _ESCAPES[other]

    return _ESCAPE.sub(replaced, inside)


def _skip(text: str, at: int, over: frozenset[str]) -> int:
    while text[at : at + 1] in over:
        at += 1
    return at


def _skip_lines(text: str, at: int) -> int:
    """Behind blanks, line ends and comments."""
    at = _skip(text, at, _SPACE)
    while text.startswith("#", at):
        at = _skip(text, _comment_end(text, at), _SPACE)
    return at


def _end_line(text: str, at: int) -> int:
    """Behind the line end, before which a comment may stand."""
    at = _skip(text, at, _BLANK)
    if text.startswith("#", at):
        at = _comment_end(text, at)
    if text.startswith("\r", at):
        at += 1
    if at < len(text) and text[at] != "\n":
        raise _wrong(text, at)
    return min(at + 1, len(text))


def _comment_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _expect(text: str, at: int, what: str) -> int:
    if not text.startswith(what, at):
        raise _wrong(text, at, f"{what} is missing")
    return at + len(what)


def _wrong(text: str, at: int, why: str = "") -> ValueError:
    line = text.count("\n", 0, at) + 1
    return ValueError(f"line {line} is not TOML" + (f": {why}" if why else ""))
