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

_BLANK = regex(r"[ \t]*")
_BLANK_LINES = regex(r"(?:[ \t\r\n]|#[^\n]*)*")
_LINE_END = regex(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_BARE = regex(r"[A-Za-z0-9_-]+")
_BASIC = regex(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = regex(r"'([^'\n]*)'")
# Up to two quotes may stand before the three that close.
_LONG_BASIC = regex(r'(?s)"""(?:\r?\n)?((?:[^"\\]|\\.|"(?!""))*"{0,2})"""')
_LONG_LITERAL = regex(r"(?s)'''(?:\r?\n)?((?:[^']|'(?!''))*'{0,2})'''")
_PLAIN = regex(r"[A-Za-z0-9+._:-]+(?: [0-9][0-9:.Z+-]*)?")
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
    at = _skip(_BLANK_LINES, text, 0)
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
        end = _LINE_END.match(text, at)
        if end is None:
            raise _wrong(text, at)
        if found:
            found[-1] = (*found[-1][:2], end.end())
        at = _skip(_BLANK_LINES, text, end.end())
    return root, found


def _pair(text: str, at: int, table: dict[str, Any]) -> int:
    """Put `keys = value` into `table`; where it ends."""
    keys, at = _keys(text, at)
    at = _skip(_BLANK, text, _expect(text, at, "="))
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
        at = _skip(_BLANK, text, at)
        if match := _BARE.match(text, at) or _LITERAL.match(text, at):
            keys.append(match.group(match.re.groups))
        elif match := _BASIC.match(text, at):
            keys.append(_unescape(match[1], text, at))
        else:
            raise _wrong(text, at)
        at = _skip(_BLANK, text, match.end())
        if not text.startswith(".", at):
            return keys, at
        at += 1


def _value(text: str, at: int) -> tuple[Any, int]:
    if text.startswith("[", at):
        return _array(text, at + 1)
    if text.startswith("{", at):
        return _inline_table(text, at + 1)
    for pattern in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL):
        if match := pattern.match(text, at):
            escapes = pattern in (_LONG_BASIC, _BASIC)
            return (_unescape(match[1], text, at) if escapes else match[1]), match.end()
    match = _PLAIN.match(text, at)
    if match is None:
        raise _wrong(text, at)
    return _scalar(match[0], text, at), match.end()


def _array(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while True:
        at = _skip(_BLANK_LINES, text, at)
        if text.startswith("]", at):
            return values, at + 1
        value, at = _value(text, at)
        values.append(value)
        at = _skip(_BLANK_LINES, text, at)
        if not text.startswith("]", at):
            at = _expect(text, at, ",")


def _inline_table(text: str, at: int) -> tuple[dict[str, Any], int]:
    table: dict[str, Any] = {}
    while True:
        at = _skip(_BLANK_LINES, text, at)
        if text.startswith("}", at):
            return table, at + 1
        at = _skip(_BLANK_LINES, text, _pair(text, at, table))
        if not text.startswith("}", at):
            at = _expect(text, at, ",")


def _scalar(word: str, text: str, at: int) -> Any:
    if word in ("true", "false"):
        return word == "true"
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


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, what: str) -> int:
    if not text.startswith(what, at):
        raise _wrong(text, at, f"{what} is missing")
    return at + len(what)


def _wrong(text: str, at: int, why: str = "") -> ValueError:
    line = text.count("\n", 0, at) + 1
    return ValueError(f"line {line} is not TOML" + (f": {why}" if why else ""))
