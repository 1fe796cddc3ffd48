"""What an interactive shell in a job's sandbox needs: the caller then starts it on a terminal."""

from __future__ import annotations

import glob
import os
import time

from dobby.agent import admission, containers, durable, environment, rows, variables
from dobby.core import json
from dobby.core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call

ABANDONED_S = 600.0
# An account's own login files often put their tools in front of PATH: what the environment's
# activation set is set once more after them.
_BASH = "if [ -f ~/.bashrc ]; then . ~/.bashrc; fi\n"
_ACTIVE = ("PATH", "VIRTUAL_ENV")


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them. Writes down, 0600, what `enter` needs, and answers
    `run` and `enter`, the path of that file."""
    stored = rows.target(call.home, call.args)
    request, job = stored.request, stored.run.job
    cwd = f"{job.sandbox}/{request.dir}" if request.dir else job.sandbox
    if not os.path.isdir(cwd):
        raise NotFound(f"{request.label} has no sandbox any more", "restart it, then try again")
    settings = admission.read_settings(call.home)
    host = variables.of_host(settings, os.environ)
    env = variables.of_command(environment.activated(job, host), request, stored.run, {})
    env.pop("DOBBY_RUN_ID")  # no process of the run: `stop` must not end this shell
    _sweep(stored.run.root)
    path = f"{stored.run.root}/shell-{os.urandom(6).hex()}.json"
    shell = os.environ.get("SHELL") or "/bin/sh"
    content = {"cwd": cwd, "shell": shell, "env": env}
    inside = containers.of_job(job)
    if inside is not None:
        argv, env = containers.shell(inside, stored.run, request, host, settings.variables)
        content = {"cwd": cwd, "argv": argv, "env": env}
    durable.replace(path, durable.dump_json(content))
    return {"run": rows.row(stored), "enter": path}


def _sweep(root: str) -> None:
    """Notes of shells that were never entered."""
    for path in glob.glob(f"{glob.escape(root)}/shell-*"):
        try:
            if os.stat(path).st_mtime < time.time() - ABANDONED_S:
                os.unlink(path)
        except FileNotFoundError:
            continue


def enter(path: str) -> None:
    """Become the shell that `path` describes, on the terminal that this process has."""
    content = json.loads(durable.read(path) or b"{}")
    os.unlink(path)
    os.chdir(content["cwd"])
    env = {**content["env"], "TERM": os.environ.get("TERM", "dumb")}
    if "argv" in content:  # in a container
        os.execve(content["argv"][0], content["argv"], env)
    shell = content["shell"]
    os.execve(shell, [shell, *_after_login_files(shell, env)], env)


def _after_login_files(shell: str, env: dict[str, str]) -> list[str]:
    """Arguments with which the shell sets PATH and VIRTUAL_ENV last; [] for a shell in which
    that is not known how to do."""
    name = os.path.basename(shell)
    active = {key: env[key] for key in _ACTIVE if key in env}
    if name == "fish":
        return ["-C", "; ".join(f"set -gx {key} {_fish(key, value)}" for key, value in active.items())]
    if name != "bash":
        return []
    import shlex

    text = _BASH + "".join(f"export {key}={shlex.quote(value)}\n" for key, value in active.items())
    read_fd, write_fd = os.pipe()  # bash reads the file to its end and closes it
    durable.write_all(write_fd, os.fsencode(text))
    os.close(write_fd)
    os.set_inheritable(read_fd, True)
    return ["--rcfile", f"/dev/fd/{read_fd}"]


def _fish(key: str, value: str) -> str:
    """fish(1): within single quotes, ' and \\ are escaped; PATH is a list."""
    parts = value.split(":") if key == "PATH" else [value]
    return " ".join("'" + part.replace("\\", "\\\\").replace("'", "\\'") + "'" for part in parts)
