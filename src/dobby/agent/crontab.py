"""A line in the account's crontab that does what a contact would do, unasked (crontab(1), (5)).

When every process of dobby's has died at once, as at a reboot, nothing of it can speak. cron can:
it runs a small script, which costs nothing while nobody waits to be told.
"""

from __future__ import annotations

import os

from dobby.agent import durable, processes, spawn
from dobby.agent.variables import find
from dobby.core import layout, protocol
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

WHEN = ("@reboot", "*/5 * * * *")
MARK = "# dobby"
_DAEMONS = ("cron", "crond", "anacron", "fcron", "dcron")
_CRON_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# The agent used last is the newest that there is. What it says goes nowhere.
_SCRIPT = """\
#!/bin/sh
# Written by dobby, run by cron: runs whose processes are all gone are settled, and people told.
cd %s || exit 1
export DOBBY_HOME="$PWD"
set -- outbox/*
[ -e "$1" ] || exit 0
for note in $(ls -t agent/*/python); do
    IFS= read -r python <"$note"
    [ -x "$python" ] || continue
    printf '%%s' '%s' | "$python" -I -S "${note%%python}main.py" "$PWD" cron && exit 0
done
exit 1
"""


def install(home: str) -> str:
    """Have cron look every 5 minutes and after each start of the machine. What else there is to
    say about it, "" when nothing is. Raises DobbyError where there is no cron."""
    durable.replace(layout.watch(home), _script(home).encode("utf-8", "surrogateescape"))
    os.chmod(layout.watch(home), 0o700)
    before = _read()
    ours = [f"{when} {_command(home)} {MARK}" for when in WHEN]
    _write([*_others(home, before), *ours], before)
    if not _has_daemon():
        return "no cron daemon seems to run there: until one does, nothing looks"
    return ""


def remove(home: str) -> bool:
    """Take the lines out again; whether there were any."""
    if not find("crontab", _environment()):
        return False
    before = _read()
    others = _others(home, before)
    if others == before:
        return False
    _write(others, before)
    return True


def state(home: str) -> dict[str, Any]:
    """`program` ("" where there is none), whether a `daemon` runs, and whether it has our lines
    (`watch`). Where the account may not ask, it has none."""
    program = find("crontab", _environment())
    lines: list[str] = []
    if program:
        try:
            lines = _read()
        except DobbyError:
            lines = []
    return {"program": program, "daemon": _has_daemon(), "watch": lines != _others(home, lines)}


def _has_daemon() -> bool:
    return any(process.name in _DAEMONS for process in processes.table())


def _script(home: str) -> str:
    call = protocol.alone(protocol.dump_call("contact", {})).decode("ascii")
    return _SCRIPT % (_quoted(home), call)


def _command(home: str) -> str:
    """For crontab(5), where % ends the command."""
    return f"{_quoted(layout.watch(home))} >/dev/null 2>&1".replace("%", "\\%")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _others(home: str, lines: Sequence[str]) -> list[str]:
    ours = f" {_command(home)} {MARK}"
    return [line for line in lines if not line.endswith(ours)]


def _read() -> list[str]:
    """The account's lines. Only who was told that there are none may write without them: the words
    are those of cron and cronie, and of busybox."""
    code, out, said = _crontab("-l")
    if code and not any(words in said.lower() for words in (b"no crontab", b"no such file")):
        raise _refused(said)
    return os.fsdecode(out).splitlines()


def _write(lines: Sequence[str], before: Sequence[str]) -> None:
    if list(lines) == list(before):
        return
    code, _, said = _crontab("-", input=os.fsencode("".join(f"{line}\n" for line in lines)))
    if code:
        raise _refused(said)


def _crontab(word: str, input: bytes = b"") -> tuple[int, bytes, bytes]:
    env = _environment()
    program = find("crontab", env)
    if not program:
        raise DobbyError(
            f"{os.uname().nodename} has no cron, so nothing there can look unasked",
            "install cron there, or leave --watch out: any contact does the same",
        )
    return spawn.capture([program, word], cwd="/", env={**env, "LC_ALL": "C"}, input=input)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_CRON_PATH}".lstrip(":")}


def _refused(said: bytes) -> DobbyError:
    last = (said.decode("utf-8", "replace").strip().splitlines() or ["it gave no reason"])[-1]
    return DobbyError(f"crontab on {os.uname().nodename} refused: {last}", "")
