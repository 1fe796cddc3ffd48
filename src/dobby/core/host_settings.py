"""The host's own policy: what ~/.dobby/config.toml says. No user's file overrides it."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.names import check_variable, is_name, shown
from dobby.core.record import Record
from dobby.core.settings import (
    did_you_mean,
    parse_duration_s,
    read_boolean,
    read_count,
    read_string,
    read_strings,
    read_table,
)
from dobby.core.status import NOTICE_KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Optional

FILE = "config.toml on the host"
# Keys of channels that are secret, whatever the kind: never in argv, a list, a message.
SECRET_KEYS = ("webhook", "token", "password", "url")
LEAST_INODES = 10_000  # free, for a checkout and its environment


class Channel(Record):
    """[channel.NAME]: where notices go. `on` are the kinds it is told of; runs shorter than
    `min_duration_s` end unmentioned; `log_lines`: lines of the log may go there; `team`: it is
    told of every run, else only of those that name it. `settings` are the kind's own keys, as
    they stand: agent/channels/<kind>.py checks them. They hold secrets."""

    name: str
    kind: str
    on: tuple[str, ...] = NOTICE_KINDS
    min_duration_s: float = 0.0
    log_lines: bool = False
    team: bool = True
    settings: dict[str, Any] = {}  # noqa: RUF012 (a record is frozen)


class HostSettings(Record):
    """`python` is the interpreter for dobby's own code ("" is found by name), `path` what
    comes first in PATH, `profile` a file to source for set-up and command ("" is none),
    `variables` what both get. `readable_by`: who else may read logs, outputs and sandboxes ("" is
    nobody, "group" the account's group, "all"). None is no limit.
    A run is refused where less than `min_free_mb` (millions of bytes) of the disk is free.
    `channels` by name; `warnings` are sentences."""

    python: str = ""
    path: tuple[str, ...] = ("~/.local/bin", "~/.cargo/bin")
    profile: str = ""
    variables: dict[str, str] = {}  # noqa: RUF012 (a record is frozen)
    readable_by: str = ""
    max_running: Optional[int] = None
    keep_last: Optional[int] = None
    keep_days: Optional[int] = None
    stall_after_s: Optional[float] = None
    min_free_mb: int = 200
    channels: dict[str, Channel] = {}  # noqa: RUF012
    warnings: tuple[str, ...] = ()


def parse_host_settings(text: str) -> HostSettings:
    """The settings of a file. A key that is not known gives a warning: a newer dobby may have
    written it. Raises UsageError for what is no TOML or has the wrong type."""
    if not text:  # most hosts: not even the reader is imported
        return HostSettings()
    from dobby.core.toml import parse

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


def _read_readers(value: object) -> str:
    if value not in ("", "group", "all"):
        raise ValueError(f'must be "group" or "all", not {shown(str(value))}')
    return str(value)


def _read_channels(value: object) -> dict[str, Channel]:
    if not isinstance(value, dict):  # not quoted: it may be a secret
        raise ValueError('must be tables: write [channel.NAME] with a kind, such as kind = "slack"')
    return {name: parse_channel(name, table) for name, table in value.items()}


def parse_channel(name: str, table: object) -> Channel:
    """The channel that [channel.`name`] describes. An email channel is the team's only where it
    has `to`: without, it serves everyone's own notices.

    Raises ValueError as a reader of the key "channel" does; no value of the kind's own is quoted."""
    if not is_name(name):
        raise ValueError(f"{shown(name)} is wrong: a name is made of A-Z a-z 0-9 . _ -, as a label is")
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise ValueError(f'is wrong: write [channel.{name}] with a kind, such as kind = "slack"')
    values: dict[str, Any] = {"team": table["kind"] != "email" or "to" in table}
    for key, (field, read) in _CHANNEL_READERS.items():
        if key in table:
            try:
                values[field] = read(table[key])
            except ValueError as error:
                raise ValueError(f"is wrong: channel.{name}: {key} {error}") from None
    own = {key: value for key, value in table.items() if key not in _CHANNEL_READERS}
    return Channel(name=name, settings=own, **values)


def channel_table(kind: str, words: Mapping[str, str]) -> dict[str, Any]:
    """The table of a channel from KEY=VALUE words: `on` is a list parted by commas, truth values
    are "true" and "false", all else stays text."""
    table: dict[str, Any] = {"kind": kind}
    for key, text in words.items():
        table[key] = {"true": True, "false": False}.get(text, text) if key in _TRUTH else text
        if key == "on":
            table[key] = [word.strip() for word in text.split(",") if word.strip()]
    return table


def _read_kinds(value: object) -> tuple[str, ...]:
    kinds = read_strings(value)
    for kind in kinds:
        if kind not in NOTICE_KINDS:
            raise ValueError(f"does not know {shown(kind)}; {did_you_mean(kind, NOTICE_KINDS)}")
    return kinds


# key of every channel, whatever its kind: (field, reader)
_CHANNEL_READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "kind": ("kind", read_string),
    "on": ("on", _read_kinds),
    "min_duration": ("min_duration_s", parse_duration_s),
    "log_lines": ("log_lines", read_boolean),
    "team": ("team", read_boolean),
}
_TRUTH = ("log_lines", "team")

# key: (field, reader)
_READERS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "python": ("python", read_string),
    "path": ("path", read_strings),
    "profile": ("profile", read_string),
    "readable_by": ("readable_by", _read_readers),
    "variables": ("variables", _read_variables),
    "max_running": ("max_running", read_count),
    "keep_last": ("keep_last", read_count),
    "keep_days": ("keep_days", read_count),
    "stall_after": ("stall_after_s", parse_duration_s),
    "min_free_mb": ("min_free_mb", read_count),
    "channel": ("channels", _read_channels),
}
