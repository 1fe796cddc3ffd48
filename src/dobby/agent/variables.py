"""The environment of set-up and command: the host's own, never the laptop's or dobby's."""

from __future__ import annotations

import os

from dobby.agent import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.core import layout
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request

_NOT_OURS = (
    *("DOBBY_", "SSH_", "SUDO_", "PYTHON", "UV_", "CONDA_", "PIP_", "VIRTUAL_ENV", "PYENV_"),
    *("PIXI_", "npm_", "POETRY_", "PIPENV_", "PIPX_", "WORKON_HOME"),
)
OF_A_SHELL = ("_", "OLDPWD", "PWD", "SHLVL", "__PYVENV_LAUNCHER__")
PLAIN_PATH = "/usr/local/bin:/usr/bin:/bin"


def of_host(settings: HostSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """What a run starts from: the account's variables, less what belongs to dobby's own
    interpreter and session, with the settings' `path` in front, `profile` sourced, `variables` set."""
    env = {k: v for k, v in environ.items() if not k.startswith(_NOT_OURS) and k not in OF_A_SHELL}
    env.setdefault("LANG", "C.UTF-8")
    front = [os.path.expanduser(entry) for entry in settings.path]
    env["PATH"] = ":".join([*front, env.get("PATH") or PLAIN_PATH])
    if settings.profile:
        env = _after_profile(os.path.expanduser(settings.profile), env)
    env.update(settings.variables)
    return env


def _after_profile(path: str, env: dict[str, str]) -> dict[str, str]:
    """The environment after `path` was sourced by bash (sh where there is none)."""
    shell = find("bash", env) or "/bin/sh"
    argv = [shell, "-c", '. "$1" >/dev/null 2>&1; exec env -0', "sh", path]
    code, out, _ = spawn.capture(argv, cwd="/", env=env)
    if code:
        raise OSError(f"the host's profile {path} could not be sourced (exit {code})")
    return parse(out)


def parse(out: bytes) -> dict[str, str]:
    """What `env -0` printed, less a shell's own."""
    pairs = (entry.partition("=") for entry in os.fsdecode(out).split("\0") if "=" in entry)
    return {name: value for name, _, value in pairs if name not in OF_A_SHELL}


def of_steps(host: Mapping[str, str], run: layout.Run) -> dict[str, str]:
    """For dobby's own steps: messages in a known language, and the id that `stop` looks for."""
    return {**host, "LC_ALL": "C.UTF-8", "DOBBY_RUN_ID": run.run_id}


def of_command(
    prepared: Mapping[str, str], request: Request, run: layout.Run, values: Mapping[str, str]
) -> dict[str, str]:
    """For the job: what the environment's activation gave, the user's variables and forwarded
    values, and the names that the documentation promises."""
    env = dict(prepared)
    env.pop("LC_ALL", None)
    env.setdefault("PYTHONUNBUFFERED", "1")
    env.update(request.variables)
    env.update(values)
    env.update(
        DOBBY_LABEL=request.label,
        DOBBY_RUN_ID=run.run_id,
        DOBBY_PROJECT=request.project,
        DOBBY_REVISION=request.revision,
        DOBBY_COMMIT=request.commit,
        DOBBY_USER=request.user,
        DOBBY_OUTPUTS=run.outputs,
    )
    return env


def find(program: str, env: Mapping[str, str]) -> str:
    """The absolute path of a program in env's PATH, "" when it is not there. "~/…" and "/…" are
    looked for where they say."""
    if "/" in program:
        path = program.replace("~", env.get("HOME", "/nonexistent"), 1)
        return path if os.access(path, os.X_OK) and os.path.isfile(path) else ""
    for entry in env.get("PATH", PLAIN_PATH).split(":"):
        path = f"{entry}/{program}"
        if entry.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def shell_argv(command: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """The command as one string to `bash -c`, byte for byte; sh where there is no bash."""
    return (find("bash", env) or find("sh", env) or "/bin/sh", "-c", command)
