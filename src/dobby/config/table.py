"""The settings: their keys, types and defaults, and in whose file each may stand."""

from __future__ import annotations

from dobby.core import names
from dobby.core.accounts import check_account
from dobby.core.errors import UsageError
from dobby.core.names import check_inside, check_program, check_variable
from dobby.core.record import Record
from dobby.core.settings import (
    IF_RUNNING,
    did_you_mean,
    parse_cpus,
    parse_duration_s,
    parse_size_bytes,
    read_boolean,
    read_count,
    read_nice,
    read_string,
    read_strings,
)
from dobby.core.status import NOTICE_KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

PROJECT, USER = "project", "user"


class HostEntry(Record):
    """[host.NAME] of the user's file. `ssh` is the destination, `become` the account to work
    as ("" is the one that ssh gives), `shared`: others launch into that account too; `slurm` the
    table [host.NAME.slurm] as it stands."""

    ssh: str
    become: str = ""
    launcher: str = "process"
    slurm: dict[str, Any] = {}  # noqa: RUF012 (a record is frozen)
    default: bool = False
    shared: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether several people's jobs are one account's; that is what `become` is for."""
        return self.shared or bool(self.become)


class Options(Record):
    """The value of every setting; "" and None are "not set".

    `sources` maps each setting's key to where its value comes from: "default", "pyproject.toml of main",
    the user's file, "$DOBBY_HOST", "--host". `warnings` are sentences for people."""

    host: str = "local"
    label: str = ""
    environment: tuple[str, ...] = ("auto",)
    setup: str = ""
    setup_key: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    forward_env: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    timeout_s: float | None = None
    grace_s: float = 3.0
    if_running: str = "refuse"
    memory_bytes: int | None = None
    cpus: float | None = None
    nice: int = 0
    untracked_limit_mb: int = 50
    name: str = ""
    email: str = ""
    notify_on: tuple[str, ...] = NOTICE_KINDS
    answer_within_s: float = 5.0
    forward_agent: bool = False
    sources: dict[str, str] = {}  # noqa: RUF012
    hosts: dict[str, HostEntry] = {}  # noqa: RUF012
    warnings: tuple[str, ...] = ()


_DURATIONS = ("timeout", "grace", "answer_within")
_FIELDS = {"memory": "memory_bytes", **{key: f"{key}_s" for key in _DURATIONS}}


class Setting(Record):
    """One key: how it is read, in whose files it may stand, and the option that sets it.

    `read` raises ValueError whose text continues "<where>: <key> …"."""

    key: str
    read: Callable[[object], Any]
    places: tuple[str, ...]
    meaning: str
    option: str = ""

    @property
    def field(self) -> str:
        """The field of Options that holds the value: durations and sizes are named by their unit."""
        return _FIELDS.get(self.key, self.key)

    @property
    def variable(self) -> str:
        return f"DOBBY_{self.key.upper()}"


# --- readers -------------------------------------------------------------------------------


def _checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """A reader of text from a check of the core, which raises UsageError."""

    def reads(text: str) -> str:
        try:
            check(text)
        except UsageError as error:
            raise ValueError(f"is wrong: {error.message}") from None
        return text

    return reads


def _name(what: str) -> Callable[[object], str]:
    reads = _checked(lambda text: names.check_name(text, what))
    return lambda value: reads(read_string(value))


def _each(check: Callable[[str], object]) -> Callable[[object], tuple[str, ...]]:
    reads = _checked(check)
    return lambda value: tuple(reads(item) for item in read_strings(value))


def _one_of(known: Sequence[str]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in known:
            raise UsageError(f"{names.shown(text)} is not known; {did_you_mean(text, known)}")

    return check


def _read_truth(value: object) -> bool:
    """Also as text, as environment variables give it."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return read_boolean(words.get(value.lower(), value) if isinstance(value, str) else value)


def read_account(value: object) -> str:
    return _checked(check_account)(read_string(value))


def _read_email(value: object) -> str:
    """One address; "" means that one wants no mail."""
    text = read_string(value)
    if text and not names.is_address(text):
        raise ValueError(f"must be an address such as ann@example.org, not {names.shown(text)}")
    return text


def _read_if_running(value: object) -> str:
    return _checked(_one_of(IF_RUNNING))(read_string(value))


def _read_timeout(value: object) -> float:
    seconds = parse_duration_s(value)
    if seconds <= 0:
        raise ValueError("must be more than nothing")
    return seconds


_GLOBS = _each(lambda text: check_inside(text, "glob"))
_NOTICES = _each(_one_of(NOTICE_KINDS))


# --- the table -----------------------------------------------------------------------------


def _shared(key: str, read: Callable[[object], Any], meaning: str, option: str = "") -> Setting:
    return Setting(key=key, read=read, places=(PROJECT, USER), meaning=meaning, option=option)


SETTINGS = (
    _shared("host", read_string, "where runs happen", "--host"),
    _shared("label", _name("label"), "name of the job", "--label"),
    _shared("environment", read_strings, "how dependencies are installed", "--environment"),
    _shared("setup", read_string, "command that ends the set-up", "--setup"),
    _shared("setup_key", _GLOBS, "files whose change runs setup again"),
    _shared("requires", _each(check_program), "programs that a host must have"),
    _shared("output", _GLOBS, "files kept with the run", "--output"),
    _shared("keep", _GLOBS, "files left for the job's next run", "--keep"),
    _shared("include", _GLOBS, "ignored files to bring along", "--include"),
    _shared("forward_env", _each(check_variable), "variables whose values the job gets", "--env"),
    _shared("notify", _each(names.check_who), "who else is told", "--notify"),
    _shared("timeout", _read_timeout, "when a run is ended", "--timeout"),
    _shared("grace", parse_duration_s, "time between SIGINT and SIGKILL", "--grace"),
    _shared("if_running", _read_if_running, "what to do when the label is held", "--if-running"),
    _shared("memory", parse_size_bytes, "most memory that the command may use", "--memory"),
    _shared("cpus", parse_cpus, "most processors that the command may use", "--cpus"),
    _shared("nice", read_nice, "how far the command stands back for others", "--nice"),
    _shared("untracked_limit_mb", read_count, "most that untracked files may come to"),
    Setting(key="name", read=_name("project"), places=(PROJECT,), meaning="name of the project"),
    Setting(key="email", read=_read_email, places=(USER,), meaning="where one's own notices go"),
    Setting(
        key="answer_within",
        read=_read_timeout,
        places=(USER,),
        meaning="how long ps waits for each of all hosts",
    ),
    # Not the project's: whoever can push a branch would get the use of one's keys.
    Setting(
        key="forward_agent",
        read=_read_truth,
        places=(USER,),
        meaning="whether the set-up may use one's ssh agent",
        option="--forward-agent",
    ),
    Setting(key="notify_on", read=_NOTICES, places=(USER,), meaning="what one wants to be told of"),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}


def known_settings() -> tuple[Setting, ...]:
    """Every setting, in the order in which `dobby config` shows them."""
    return SETTINGS
