"""Changes one table of a TOML file, and leaves every other line of it as it stands.

A table is found by its header, [channel.team]. One that is written in another way (inline, or
with dotted keys) is not touched: then the caller is told to edit the file by hand.
"""

from __future__ import annotations

from dobby.core.lazy import regex
from dobby.core.toml import parse, sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_BARE = regex(r"[A-Za-z0-9_-]+\Z")


def put_table(text: str, path: Sequence[str], values: Mapping[str, Any]) -> str:
    """`text` with the table `path` holding `values` alone: in the old one's place, else at the
    end. Values are text, truth values, numbers, and lists of these.

    Raises ValueError: no TOML, or a table that is not edited here."""
    before, plain = parse(text), _unix(text)
    spans = _spans(plain, path)
    at = spans[0][0] if spans else len(plain)
    head, tail = plain[:at], _without(plain, spans)[at:]
    if head and not head.endswith("\n"):
        head += "\n"
    if head.strip() and not spans and not head.endswith("\n\n"):
        head += "\n"
    after = head + dump_table(path, values) + tail
    return _checked(text, after, _with(before, path, dict(values)))


def drop_table(text: str, path: Sequence[str]) -> str:
    """`text` without the table `path` and those within it; comments above it stay. Raises KeyError
    when there is none, ValueError as `put_table`."""
    before, plain = parse(text), _unix(text)
    if _at(before, path) is None:
        raise KeyError(".".join(path))
    spans = [(begin, _with_blank(plain, end)) for begin, end in _spans(plain, path)]
    after = _without(plain, spans)
    return _checked(text, after, _with(before, path, None))


def dump_table(path: Sequence[str], values: Mapping[str, Any]) -> str:
    """The table as TOML: a header and a line a key."""
    lines = [f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if _BARE.match(key) else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if " " <= char != "\x7f" else f"\\u{ord(char):04x}"


def _spans(text: str, path: Sequence[str]) -> list[tuple[int, int]]:
    """Where the table and those within it stand."""
    return [(begin, end) for keys, begin, end in sections(text) if keys[: len(path)] == list(path)]


def _with_blank(text: str, end: int) -> int:
    """A blank line behind a table goes with it."""
    return end + 1 if text[end : end + 1] == "\n" else end


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for begin, end in reversed(spans):
        text = text[:begin] + text[end:]
    return text


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _checked(before: str, after: str, meant: dict[str, Any]) -> str:
    """`after` in the line ends of `before`, if it says what is meant and nothing else."""
    try:
        fits = _bare(parse(after)) == _bare(meant)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("that table has a form that only a person can edit")
    return after.replace("\n", "\r\n") if "\r\n" in before else after


def _at(document: dict[str, Any], path: Sequence[str]) -> Any:
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _with(document: dict[str, Any], path: Sequence[str], value: dict[str, Any] | None) -> dict[str, Any]:
    """A copy of the document whose table `path` is `value`, or (None) is not there."""
    copy = dict(document)
    if len(path) > 1:
        inner = copy.get(path[0], {})
        copy[path[0]] = _with(inner if isinstance(inner, dict) else {}, path[1:], value)
    elif value is None:
        copy.pop(path[0], None)
    else:
        copy[path[0]] = value
    return copy


def _bare(value: Any) -> Any:
    """Without empty tables at the top: a header alone makes one, and its last table's end may
    leave one. Lists and tuples are the same."""
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if v != {}}
    return [_bare(v) for v in value] if isinstance(value, (list, tuple)) else value
