"""Everything else (Teams, Discord, Telegram, ntfy …) by Apprise, which lives in a venv of its own
on the host: it cannot be shipped, and only a child of the process that sends runs it.

https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import json
import os

from dobby.core import answers, layout, wording
from dobby.core.errors import DobbyError
from dobby.core.harmless import one_line
from dobby.core.notices import STALLED, STARTED, Later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dobby.core.notices import Delivery, Notice

KEYS = ("url",)
SECRETS = ("url",)

PATIENCE_S = 50.0
INSTALL_PATIENCE_S = 600.0
_NOT_UNDERSTOOD, _NOT_SENT = 3, 4

# The address comes by stdin: what stands in a command line is seen by everyone on the host.
_SEND = f"""\
import json, sys
import apprise
given = json.load(sys.stdin)
told = apprise.Apprise()
with apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s") as log:
    if not told.add(given["url"]):
        code = {_NOT_UNDERSTOOD}
    elif told.notify(title=given["title"], body=given["body"], notify_type=given["type"],
                     body_format=apprise.NotifyFormat.TEXT, interpret_escapes=False):
        code = 0
    else:
        code = {_NOT_SENT}
    print(log.getvalue())
sys.exit(code)
"""


def asks(settings: dict[str, Any]) -> tuple[str, ...]:
    return ("url",)


def check(settings: dict[str, Any]) -> None:
    answers.check_keys(settings, KEYS, "apprise")
    answers.split(answers.text(settings, "url"), "url")


def send(settings: dict[str, Any], notice: Notice, delivery: Delivery, memory: dict[str, Any]) -> str:
    import subprocess

    url = str(settings["url"])
    python = f"{layout.tool(_home(), 'apprise')}/bin/python"
    given = {
        "url": url,
        "title": f"[dobby] {wording.title(notice)}",
        "body": body(notice, delivery.log_lines),
        "type": _type(notice),
    }
    try:
        done = subprocess.run(
            [python, "-I", "-c", _SEND],
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Later("Apprise did not end in time") from None
    except OSError as error:
        raise Later(
            f"Apprise cannot be started on this host ({error.strerror}): add the channel anew"
        ) from None
    said = one_line(answers.without_secrets(done.stdout.decode("utf-8", "replace"), url))
    if done.returncode == _NOT_UNDERSTOOD:
        raise Later(f"Apprise does not understand the channel's url: {said or 'it said no more'}")
    if done.returncode == _NOT_SENT:
        raise Later(f"Apprise could not send it: {said or 'it said no more'}")
    if done.returncode:
        trouble = answers.without_secrets(done.stderr.decode("utf-8", "replace"), url)
        raise Later(f"Apprise failed: {one_line(trouble.strip().rpartition(chr(10))[2])}")
    return "Apprise sent it"


def body(notice: Notice, log_lines: bool) -> str:
    """Short: what a phone shows, or a chat that knows no layout."""
    wanted = ("Status", "Host", "Who", "Revision", "Command", "Directory", "Duration", "History")
    lines = [f"{name}: {text}" for name, text in wording.facts(notice) if name in wanted]
    if log_lines and notice.error_line:
        lines.append(f"Error: {notice.error_line}")
    if log_lines and wording.tail(notice):
        lines += ["", *wording.tail(notice)]
    return "\n".join([*lines, "", notice.log_command, notice.ssh_command])


def _type(notice: Notice) -> str:
    by_kind = {STARTED: "info", STALLED: "warning", "stopped": "warning", "succeeded": "success"}
    return by_kind.get(notice.kind, "failure")


def _home() -> str:
    """dobby's directory, as whoever started the agent found it (core/protocol.py)."""
    return os.environ.get("DOBBY_HOME") or os.path.expanduser("~/.dobby")


# --- the venv ------------------------------------------------------------------------------------


def prepare(home: str, env: Mapping[str, str]) -> str:
    """Make the venv where there is none that works; its version, as one line. `env` is the
    environment that the host's settings give. Raises DobbyError with what went wrong."""
    import shutil
    import sys

    where = layout.tool(home, "apprise")
    found = _version(where)
    if found:
        return found
    made = f"{where}.{os.getpid()}"
    os.makedirs(os.path.dirname(where), mode=0o700, exist_ok=True)
    shutil.rmtree(made, ignore_errors=True)
    try:
        uv = shutil.which("uv", path=env.get("PATH"))
        for argv in _steps(uv, sys.executable, made):
            _run(argv, env)
        if not _version(made):
            raise DobbyError("Apprise was installed, but cannot be imported", f"try {made}/bin/python")
        shutil.rmtree(where, ignore_errors=True)
        os.rename(made, where)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return _version(where)


def _steps(uv: str | None, python: str, where: str) -> list[list[str]]:
    """Only the venv's python is used, by its path: that its scripts name the place where it was
    made does not matter."""
    if uv:
        install = [uv, "pip", "install", "--python", f"{where}/bin/python", "apprise"]
        return [[uv, "venv", "--python", python, where], install]
    return [
        [python, "-I", "-m", "venv", where],
        [f"{where}/bin/python", "-I", "-m", "pip", "install", "apprise"],
    ]


def _run(argv: list[str], env: Mapping[str, str]) -> None:
    import subprocess

    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    try:
        done = subprocess.run(
            argv,
            env={**env, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DobbyError(f"Apprise could not be installed: {argv[0]}: {type(error).__name__}") from None
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()[-8:]
        said = "\n".join(one_line(line) for line in lines)
        hint = (
            "install python3-venv on the host, or uv, which does without"
            if "ensurepip" in said
            else "mend that on the host, then add the channel anew"
        )
        command = f"{os.path.basename(argv[0])} {' '.join(argv[1:4])} …"
        raise DobbyError(f"Apprise could not be installed: {command}: exit {done.returncode}\n{said}", hint)


def _version(where: str) -> str:
    """ "Apprise 1.9.0", "" where it is not there or broken."""
    import subprocess

    show = "import apprise; print('Apprise', apprise.__version__)"
    try:
        done = subprocess.run(
            [f"{where}/bin/python", "-I", "-c", show],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.decode().strip() if done.returncode == 0 else ""
