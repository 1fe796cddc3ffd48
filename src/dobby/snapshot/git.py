"""Every call of git on the laptop goes through here: one environment, one way to fail.

A `Place` says which repository is meant, so that nothing depends on what a surrounding hook
or shell exported: the user's own GIT_DIR is asked once, by `checkout.open_checkout`.
"""

from __future__ import annotations

import os
import subprocess

from dobby.core.errors import DobbyError
from dobby.core.lazy import regex
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ALWAYS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
# What a `Place` says instead; GIT_CONFIG_* and GIT_SSH* stay, the user means those.
_SAID_BY_PLACE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_PREFIX",
)
# Each would change what a path or an answer means; LANGUAGE translates even C.UTF-8.
_NEVER = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_NAMESPACE",
    "LANGUAGE",
)
# A promised object of a partial clone is not "here"; the second is for git before 2.45.
NO_FETCHING = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
_ADDED_TO_ANY_REASON = (
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
)
_USER_INFO = regex(r"(?<=://)[^/@\s]+@")


class Place(Record):
    """A repository to ask. `top` is its working tree ("" where none is needed), `objects`
    further object directories to read from, `write` the one that new objects go to (the
    repository's own when empty), `index` another index than the repository's."""

    git_dir: str
    top: str = ""
    objects: tuple[str, ...] = ()
    write: str = ""
    index: str = ""


class Process(subprocess.Popen[bytes]):
    """A git that runs: `verb` and `where` for messages."""

    verb: str
    where: str


class GitFailed(DobbyError):
    """git ended with `code`; `said` is all that it wrote to stderr."""

    def __init__(self, command: str, where: str, code: int, said: str) -> None:
        self.code, self.said = code, said
        super().__init__(f"git {command} failed in {where}: {last_words(said) or f'exit {code}'}")


def last_words(said: str) -> str:
    """The line of git's stderr that gives the reason, without any URL's user info."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if line not in _ADDED_TO_ANY_REASON] or lines
    reasons = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    line = (reasons or lines or [""])[-1]
    return _USER_INFO.sub("", line.removeprefix("fatal: ").removeprefix("error: "))


def environment(place: Place | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """git's environment for `place`; without one the caller's own GIT_DIR and the like hold."""
    env = {k: v for k, v in os.environ.items() if k not in _NEVER}
    env |= {
        "LC_ALL": "C.UTF-8",
        "GIT_OPTIONAL_LOCKS": "0",
        # A host knows nothing of replaced or grafted objects: see what it will see.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
    }
    if not os.isatty(0):
        # ssh and git ask through /dev/tty even then, unless an answering program is named.
        env |= {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "SSH_ASKPASS": "false",
            "SSH_ASKPASS_REQUIRE": "force",
        }
    if place is not None:
        for name in _SAID_BY_PLACE:
            env.pop(name, None)
        env["GIT_DIR"] = place.git_dir
        if place.top:
            env["GIT_WORK_TREE"] = place.top
        if place.index:
            env["GIT_INDEX_FILE"] = place.index
        if place.write:
            env["GIT_OBJECT_DIRECTORY"] = place.write
        if place.objects:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ":".join(map(_quoted, place.objects))
    return env | dict(extra or {})


def _quoted(path: str) -> str:
    """git(1): an entry may be C-quoted, which a path with ':' needs."""
    if not any(c in path for c in ':"\\\n'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def start(
    place: Place | None,
    *args: str,
    cwd: str = "",
    feed: bool = False,
    env: Mapping[str, str] | None = None,
) -> Process:
    """git, started: stdout and stderr are pipes, stdin is one with `feed` and else /dev/null."""
    where = cwd or (place.top or place.git_dir if place else ".")
    try:
        process = Process(
            ["git", *_ALWAYS, *args],
            cwd=where,
            env=environment(place, env),
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.where = where
        process.verb = next((w for w in args if not w.startswith("-") and "=" not in w), "")
        return process
    except FileNotFoundError:
        if not os.path.isdir(where):
            raise DobbyError(f"{where} is not a directory (any more)") from None
        raise DobbyError("git was not found on this laptop's PATH", "install git 2.25 or newer") from None


def finish(process: Process, input: bytes | None = None, ok: tuple[int, ...] = (0,)) -> bytes:
    """stdout of a started git. Raises GitFailed unless its exit code is among `ok`."""
    out, said = process.communicate(input)
    if process.returncode not in ok:
        raise GitFailed(process.verb, process.where, process.returncode, os.fsdecode(said))
    return out


def run(
    place: Place | None,
    *args: str,
    cwd: str = "",
    input: bytes | None = None,
    ok: tuple[int, ...] = (0,),
    env: Mapping[str, str] | None = None,
) -> bytes:
    """stdout of git. Raises GitFailed."""
    return finish(start(place, *args, cwd=cwd, feed=input is not None, env=env), input, ok)
