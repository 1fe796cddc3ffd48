"""How a value of a settings file is read: the same rules on the laptop and on the host.

A reader takes a value as TOML gives it and returns it typed, or raises ValueError whose text
continues the sentence "<file>: <key> …".
"""

from __future__ import annotations

from dobby.core.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

IF_RUNNING = ("refuse", "queue", "replace")  # what a launch does while its label is held
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = regex(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|[smhdw])")
_PLAIN = regex(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z")
_SIZE = regex(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(?:([KMGTkmgt])(?:i?B)?)?\Z")
_LEAST_BYTES, _MOST_BYTES = 1 << 20, 1 << 50
_MOST_S = 100 * 365 * 86400.0
DURATION = 'must be a duration such as "90s", "1h30m" or "14d"'


def parse_duration_s(value: object) -> float:
    """Seconds: of "2h", "90s", "1h30m", "14d", "500ms", or of a number of seconds.

    Raises ValueError: what is expected, as a reader does."""
    if isinstance(value, str):
        return _within_reason(_parse_text_s(value), value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _within_reason(float(value), value)
    raise ValueError(f"{DURATION}, not {shown_value(value)}")


def _parse_text_s(text: str) -> float:
    text = text.strip()
    if _PLAIN.match(text):
        return float(text)
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    whole = "".join(number + unit for number, unit in parts) == text
    if not parts or not whole or len(set(units)) < len(units):
        raise ValueError(f"{DURATION}, not {shown_value(text)}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _within_reason(seconds: float, value: object) -> float:
    if not 0 <= seconds <= _MOST_S:
        raise ValueError(f"must be a duration from 0 to 100 years, not {shown_value(value)}")
    return seconds


def parse_size_bytes(value: object) -> int:
    """Bytes: of "4G", "512M", "1.5GiB" (powers of 1024, as systemd, docker and Slurm reckon), or of a
    number of bytes. Raises ValueError: what is expected, as a reader does."""
    found = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if found:
        size = float(found[1]) * 1024 ** " KMGT".index((found[2] or " ").upper())
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise ValueError(f'must be a size such as "4G" or "512M", not {shown_value(value)}')
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise ValueError(f"must be a size from 1M to 1024T, not {shown_value(value)}")
    return int(size)


def parse_cpus(value: object) -> float:
    """How many processors: 2, 0.5, also as text. Raises ValueError as a reader does."""
    if isinstance(value, str) and _PLAIN.match(value.strip()):
        value = float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.01 <= value <= 10000:
        raise ValueError(f"must be a number of processors such as 2 or 0.5, not {shown_value(value)}")
    return float(value)


def read_nice(value: object) -> int:
    """From 0 to 19: less than that only root may give, and would take from others."""
    try:
        number = read_count(value)
    except ValueError:
        number = -1
    if not 0 <= number <= 19:
        raise ValueError(f"must be a whole number from 0 to 19, not {shown_value(value)}")
    return number


def read_string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'must be text such as "abc", not {shown_value(value)}')
    if "\0" in value:
        raise ValueError("must not hold a NUL byte, which no program can be given")
    return value


def read_strings(value: object) -> tuple[str, ...]:
    """One text, or a list of them."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ValueError(f'must be a list of texts such as ["a", "b"], not {shown_value(value)}')
    return tuple(read_string(item) for item in items)


def read_count(value: object) -> int:
    """A whole number from 0; also as text, as environment variables give it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"must be a whole number from 0, not {shown_value(value)}")
    return value


def read_number(value: object) -> float:
    """A number, not a text of one."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"must be a number, not {shown_value(value)}")
    return value


def read_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown_value(value)}")
    return value


def read_table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {shown_value(value)}")
    return value


def shown_value(value: object, most: int = 60) -> str:
    """A value for a message, cut to `most` characters."""
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` is most likely a slip of, "" when none is near."""
    from difflib import get_close_matches  # only a mistake pays its import

    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the nearest one, else all of them."""
    choices = list(known)
    near = nearest(word, choices)
    return f"did you mean {near}?" if near else f"known: {', '.join(choices)}"
