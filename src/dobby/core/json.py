"""`json`, at a fifth of its import: the part of it that is written in C, which Python's own calls too.

Errors, and what is asked for in an unusual form, are left to `json` itself, which has `re` imported:
together they take as long as Python's start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Usual:
    """What json.JSONDecoder() sets."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float, parse_int = float, int
    parse_constant = {"-Infinity": -float("inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__


def loads(text: str | bytes) -> Any:
    """As `json.loads`. Raises ValueError."""
    try:
        from _json import make_scanner

        whole = (text if isinstance(text, str) else text.decode()).strip(" \t\n\r")
        usual: Any = _Usual
        value, end = make_scanner(usual)(whole, 0)
        if end == len(whole):
            return value
    # SystemError: to raise json's own error, it needs json imported already (Python before 3.13).
    except (ImportError, AttributeError, StopIteration, ValueError, SystemError):
        pass
    import json

    return json.loads(text)


def dumps(value: Any, *, sort_keys: bool = False, ensure_ascii: bool = True, separators: Any = None) -> str:
    """As `json.dumps`. Raises TypeError, ValueError."""
    if ensure_ascii:
        try:
            from _json import encode_basestring_ascii, make_encoder

            item, key = separators or (", ", ": ")
            how = (encode_basestring_ascii, None, key, item, sort_keys, False, True)
            return "".join(make_encoder({}, _refuse, *how)(value, 0))
        except (ImportError, TypeError, ValueError):
            pass
    import json

    return json.dumps(value, sort_keys=sort_keys, ensure_ascii=ensure_ascii, separators=separators)


def _refuse(value: object) -> object:
    raise TypeError(type(value).__name__)
