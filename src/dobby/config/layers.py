"""Where settings come from, and which of them hold.

    defaults < project's file < user's file < environment < command line

The host's own policy stands apart (core/host_settings.py): nobody's file overrides it.
Pure: files come as text, the environment as a mapping.
"""

from __future__ import annotations

from dobby.config.table import BY_KEY, PROJECT, SETTINGS, USER, HostEntry, Options, read_account
from dobby.core.errors import UsageError
from dobby.core.settings import did_you_mean, read_boolean, read_string, read_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

DEFAULT = "default"
# What a job is told: inside a job these describe the job itself and set nothing.
TOLD_TO_JOBS = ("LABEL", "RUN_ID", "PROJECT", "REVISION", "COMMIT", "USER", "OUTPUTS")
# Options of `run` that are no settings of a file, but that DOBBY_… may set.
ENVIRONMENT_ONLY = ("dir", "repo", "env_file")
_LISTS = {key for key, s in BY_KEY.items() if isinstance(getattr(Options, s.field), tuple)}
_HOST_KEYS = {
    "ssh": read_string,
    "become": read_account,
    "launcher": read_string,
    "slurm": read_table,
    "default": read_boolean,
    "shared": read_boolean,
}


def resolve(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    user_file: tuple[str, str] | None = None,
    project: Iterable[tuple[str, str, str]] = (),
) -> Options:
    """The settings that hold.

    `flags` maps keys to what the command line gave (None: not given), `user_file` is path and
    text, `project` holds (how people know it, such as "dobby.toml of main"; the file's name; its
    text) of pyproject.toml and dobby.toml. Raises UsageError: what, where, what is expected there."""
    layers = _Layers()
    _put_project(layers, project)
    hosts = _put_user(layers, *user_file) if user_file else {}
    _put_environment(layers, environ or {})
    for key, value in (flags or {}).items():
        if value is not None:
            option = BY_KEY[key].option or f"--{key.replace('_', '-')}"
            layers.put(key, value, option, option)
    return Options(**layers.values, sources=layers.sources, hosts=hosts, warnings=tuple(layers.warnings))


class _Layers:
    """Values and their sources, each layer put over the ones before."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources = dict.fromkeys(BY_KEY, DEFAULT)
        self.warnings: list[str] = []

    def put(self, key: str, value: object, source: str, shown: str) -> None:
        """`shown` is how people named it: "$DOBBY_GRACE", "pyproject.toml of main: grace"."""
        try:
            self.values[BY_KEY[key].field] = BY_KEY[key].read(value)
        except ValueError as error:
            raise UsageError(f"{shown} {error}") from None
        self.sources[key] = source


# --- the project's file ----------------------------------------------------------------------


def _put_project(layers: _Layers, files: Iterable[tuple[str, str, str]]) -> None:
    tables = {}
    for source, name, text in files:
        table = _parse_toml(source, text) if name != "pyproject.toml" else _tool_table(source, text)
        if table is not None:
            tables[name] = (source, table)
    if "dobby.toml" in tables and "pyproject.toml" in tables:
        source, _ = tables.pop("pyproject.toml")
        layers.warnings.append(f"[tool.dobby] in {source} is not read: dobby.toml stands beside it")
    for source, table in tables.values():
        for key, value in table.items():
            if key in BY_KEY and PROJECT in BY_KEY[key].places:
                layers.put(key, value, source, f"{source}: {key}")
            else:
                layers.warnings.append(f"{source}: {_unknown(key, PROJECT)}")


def _tool_table(source: str, text: str) -> dict[str, Any] | None:
    """[tool.dobby] of a pyproject.toml, None where there is none."""
    if "dobby" not in text:  # most projects: tomllib is not even imported
        return None
    tool = _parse_toml(source, text).get("tool")
    table = tool.get("dobby") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{source}: tool.dobby must be a table")
    return table


# --- the user's file -------------------------------------------------------------------------


def _put_user(layers: _Layers, path: str, text: str) -> dict[str, HostEntry]:
    hosts: dict[str, HostEntry] = {}
    for key, value in _parse_toml(path, text).items():
        if key == "host" and isinstance(value, dict):
            hosts = {name: _host_entry(path, name, entry) for name, entry in value.items()}
            _put_default_host(layers, path, hosts)
        elif key in BY_KEY and USER in BY_KEY[key].places:
            layers.put(key, value, path, f"{path}: {key}")
        else:
            raise UsageError(f"{path}: {_unknown(key, USER)}")
    return hosts


def _host_entry(path: str, name: str, table: object) -> HostEntry:
    where = f"{path}: host.{name}"
    if not isinstance(table, dict):
        raise UsageError(f'{where} must be a table: write [host.{name}] and ssh = "destination"')
    values: dict[str, Any] = {"ssh": name}
    for key, value in table.items():
        if key not in _HOST_KEYS:
            raise UsageError(f"{where}: {key!r} is not known; {did_you_mean(key, _HOST_KEYS)}")
        try:
            values[key] = _HOST_KEYS[key](value)
        except ValueError as error:
            raise UsageError(f"{where}.{key} {error}") from None
    return HostEntry(**values)


def _put_default_host(layers: _Layers, path: str, hosts: Mapping[str, HostEntry]) -> None:
    """TOML cannot hold `host = "gpu"` beside [host.gpu]; there, `default = true` says it."""
    chosen = [name for name, entry in hosts.items() if entry.default]
    if len(chosen) > 1:
        raise UsageError(f"{path}: {' and '.join(chosen)} are both the default host", "choose one")
    for name in chosen:
        layers.put("host", name, path, f"{path}: host")


# --- the environment -------------------------------------------------------------------------


def _put_environment(layers: _Layers, environ: Mapping[str, str]) -> None:
    for key, text in _from_environment(environ, BY_KEY):
        variable = f"${BY_KEY[key].variable}"
        layers.put(key, _words(variable, text) if key in _LISTS else text, variable, variable)


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The options of `run` that are no settings, as the environment sets them: DOBBY_DIR …"""
    return dict(_from_environment(environ, ENVIRONMENT_ONLY))


def _from_environment(environ: Mapping[str, str], keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    in_job = bool(environ.get("DOBBY_RUN_ID"))
    for key in keys:
        variable = key.upper()
        text = environ.get(f"DOBBY_{variable}", "")
        if text and not (in_job and variable in TOLD_TO_JOBS):
            yield key, text


def _words(variable: str, text: str) -> list[str]:
    """A list in an environment variable is written as in a shell."""
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{variable} is not written as words of a shell: {error}") from None


# --- shared ----------------------------------------------------------------------------------


def _unknown(key: str, place: str) -> str:
    """Why `key` may not stand in the file of this place."""
    if key in BY_KEY:
        return f"{key!r} belongs in the {BY_KEY[key].places[0]}'s file, not in the {place}'s"
    known = [setting.key for setting in SETTINGS if place in setting.places]
    return f"{key!r} is not known; {did_you_mean(key, known)}"


def _parse_toml(source: str, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = ""
        if "[host." in text and "overwrite" in str(error):
            hint = "beside [host.NAME] tables, the default host is said by `default = true` in one of them"
        raise UsageError(f"{source} is not TOML: {error}", hint) from None
