"""TOML as most settings are written: a line a value, nothing in it that has two readings.

A host's settings are read at every launch, and `re`, which all of TOML needs, takes as long to import as
Python to start. What is not as plain as this is left to `toml`, also all that is wrong.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

_WORDS = {"true": True, "false": False}
_DIGITS = 15


def parse(text: str) -> Optional[dict[str, Any]]:
    """The document; None where it is not as plain."""
    root: dict[str, Any] = {}
    table = root
    try:
        for line in text.split("\n"):
            line = line.strip(" \t")
            if line.startswith("[") and line.endswith("]"):
                table = _open(root, line[1:-1])
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                _put(table, key.rstrip(" \t"), _value(value.lstrip(" \t")))
    except _Odd:
        return None
    return root


class _Odd(Exception):
    """It is for `toml` to say what this is."""


def _open(root: dict[str, Any], header: str) -> dict[str, Any]:
    table: Any = root
    *above, last = header.split(".")
    for key in above:
        table = table[key] if isinstance(table.get(key), dict) else _put(table, key, {})
    inner: dict[str, Any] = _put(table, last, {})
    return inner


def _put(table: dict[str, Any], key: str, value: Any) -> Any:
    if key in table or not (key.isascii() and key.replace("-", "").replace("_", "").isalnum()):
        raise _Odd
    table[key] = value
    return value


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS and (text[0] != "0" or text == "0"):
        return int(text)
    if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
        inner = text[1:-1].strip(" \t")
        return [_string(word.strip(" \t")) for word in inner.split(",")] if inner else []
    return _string(text)


def _string(text: str) -> str:
    inner = text[1:-1]
    if len(text) < 2 or text[0] != '"' or text[-1] != '"' or '"' in inner or "\\" in inner:
        raise _Odd
    if not inner.isprintable():
        raise _Odd
    return inner
