"""What an interactive shell in a job's sandbox needs: the caller then starts it on a terminal."""

from __future__ import annotations

import json
import os

from dobby.agent import admission, durable, environment, rows, variables
from dobby.core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them. Writes down, 0600, what `enter` needs, and answers
    `run` and `enter`, the path of that file."""
    stored = rows.target(call.home, call.args)
    request, job = stored.request, stored.run.job
    cwd = f"{job.sandbox}/{request.dir}" if request.dir else job.sandbox
    if not os.path.isdir(cwd):
        raise NotFound(f"{request.label} has no sandbox any more", "restart it, then try again")
    host = variables.of_host(admission.read_settings(call.home), os.environ)
    env = variables.of_command(environment.activated(job, host), request, stored.run, {})
    env.pop("DOBBY_RUN_ID")  # no process of the run: `stop` must not end this shell
    path = f"{stored.run.root}/shell.json"
    shell = os.environ.get("SHELL") or "/bin/sh"
    durable.replace(path, durable.dump_json({"cwd": cwd, "argv": [shell], "env": env}))
    return {"run": rows.row(stored), "enter": path}


def enter(path: str) -> None:
    """Become the shell that `path` describes, on the terminal that this process has."""
    content = json.loads(durable.read(path) or b"{}")
    os.unlink(path)
    os.chdir(content["cwd"])
    env = {**content["env"], "TERM": os.environ.get("TERM", "dumb")}
    os.execve(content["argv"][0], content["argv"], env)
