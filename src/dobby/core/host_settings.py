"""The host's own policy: what ~/.dobby/config.toml says. No user's file overrides it."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.record import Record
from dobby.core.request import check_variable
from dobby.core.settings import (
    did_you_mean,
    parse_duration_s,
    read_count,
    read_string,
    read_strings,
    read_table,
)
from dobby.core.toml import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

FILE = "config.toml on the host"


class HostSettings(Record):
    """`python` is the interpreter for dobby's own code ("" is found by name), `path` what
    comes first in PATH, `profile` a file to source for set-up and command ("" is none),
    `variables` what both get. None is no limit. `channels` are the tables [channel.NAME] as
    they stand; `warnings` are sentences."""

    python: str = ""
    path: tuple[str, ...] = ("~/.local/bin", "~/.cargo/bin")
    profile: str = ""
    variables: dict[str, str] = {}  # noqa: RUF012 (a record is frozen)
    max_running: Optional[int] = None
    keep_last: Optional[int] = None
    keep_days: Optional[int] = None
    stall_after_s: Optional[float] = None
    channels: dict[str, dict[str, Any]] = {}  # noqa: RUF012
    warnings: tuple[str, ...] = ()


def parse_host_settings(text: str) -> HostSettings:
    """The settings of a file. A key that is not known gives a warning: a newer dobby may have
    written it. Raises UsageError for what is no TOML or has the wrong type."""
    try:
        table = parse(text)
    except ValueError as error:
        raise UsageError(f"{FILE}: {error}") from None
    values: dict[str, Any] = {}
    warnings = []
    for key, value in table.items():
        if key not in _READERS:
            warnings.append(f"{FILE}: {key!r} is not known; {did_you_mean(key, _READERS)}")
            continue
        field, read = _READERS[key]
        try:
            values[field] = read(value)
        except ValueError as error:
            raise UsageError(f"{FILE}: {key} {error}") from None
    return HostSettings(**values, warnings=tuple(warnings))


def _read_variables(value: object) -> dict[str, str]:
    table = read_table(value)
    for name, content in table.items():
        try:
            check_variable(name)
            read_string(content)
        except UsageError as error:
            raise ValueError(f"is wrong: {error.message}") from None
        except ValueError as error:
            raise ValueError(f"is wrong: {name} {error}") from None
    return table


def _read_channels(value: object) -> dict[str, dict[str, Any]]:
    table = read_table(value)
    for name, channel in table.items():
        if not isinstance(channel, dict) or not isinstance(channel.get("kind"), str):
            raise ValueError(f'is wrong: write [channel.{name}] with a kind, such as kind = "slack"')
    return table


# key: (field, reader)
_READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "python": ("python", read_string),
    "path": ("path", read_strings),
    "profile": ("profile", read_string),
    "variables": ("variables", _read_variables),
    "max_running": ("max_running", read_count),
    "keep_last": ("keep_last", read_count),
    "keep_days": ("keep_days", read_count),
    "stall_after": ("stall_after_s", parse_duration_s),
    "channel": ("channels", _read_channels),
}
