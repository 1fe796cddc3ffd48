"""The host's git: with which PATH it is found, and why it may not do."""

from __future__ import annotations

import os

from dobby.agent import admission, spawn, variables
from dobby.core.errors import DobbyError
from dobby.core.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.host_settings import HostSettings

_NUMBERS = regex(rb"([0-9]+)\.([0-9]+)")
OLDEST_GIT = (2, 25)


def env_of(home: str) -> dict[str, str]:
    """As `env_with`, by the host's settings."""
    return env_with(admission.read_settings(home))


def env_with(settings: HostSettings) -> dict[str, str]:
    """The agent's own variables, with the settings' `path` in front as runs have it."""
    front = [os.path.expanduser(entry) for entry in settings.path]
    path = os.environ.get("PATH") or variables.PLAIN_PATH
    return {**os.environ, "PATH": ":".join([*front, path])}


def check_git(env: dict[str, str]) -> tuple[str, str]:
    """Path and version. Raises DobbyError where there is no git, or one that is too old. A launch
    asks only after a git has failed, so that it costs nothing where all is well."""
    host, oldest = os.uname().nodename, ".".join(map(str, OLDEST_GIT))
    hint = f"install git {oldest} or later there; a copy in ~/.local/bin is found as well"
    program = variables.find("git", env)
    if not program:
        raise DobbyError(f"host {host} has no git", hint)
    _, out, _ = spawn.capture([program, "version"], cwd="/", env=env)
    found = _NUMBERS.search(out)
    version = out.decode("utf-8", "replace").strip()
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise DobbyError(f"{program} on host {host} is too old: {version}", hint)
    return program, version.removeprefix("git version ")
