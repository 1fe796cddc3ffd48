"""One laptop (a temporary HOME) and one host (an sshd on loopback, an unprivileged account)."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests import leftovers

import dobby
from bench import repos, timing

if TYPE_CHECKING:
    from tests.sshd import Sshd

DOBBY = [os.path.join(os.path.dirname(sys.executable), "dobby")]
NO_ENVIRONMENT = ("--environment", "none")
# What a developer's shell may hold and a user's need not; PYTHON*: one of them makes every start
# compile all sources anew.
LEAKS = ("DOBBY_", "GIT_", "XDG_", "SSH_", "PYTHON", "VIRTUAL_ENV", "UV_", "CONDA_")
QUIET_S = 0.3


class Place:
    """What all groups measure with. `env` is the laptop's; `home` the account's home on the host;
    `cache` holds the repositories."""

    def __init__(self, folder: str, sshd: Sshd, cache: str) -> None:
        self.folder, self.sshd, self.home, self.cache = folder, sshd, sshd.home, cache
        self._number = 0
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(LEAKS)},
            "HOME": f"{folder}/home",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "PATH": plain_path(),
            **{f"GIT_{role}_NAME": "b" for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": "b@example.org" for role in ("AUTHOR", "COMMITTER")},
            "GIT_SSH_COMMAND": f"{sshd.ssh} -o ControlPath={folder}/mux",
            **sshd.env,
        }
        for name in ("home", "run"):
            os.makedirs(f"{folder}/{name}", 0o700)
        os.environ.clear()
        os.environ.update(self.env)
        compileall.compile_dir(os.path.dirname(dobby.__file__), quiet=1)  # as an installed package is
        self.ssh = [sshd.ssh, "-o", f"ControlPath={folder}/mux"]
        subprocess.run([*self.ssh, "-M", "-N", "-f", sshd.destination], check=True)
        self.sshd.run(["mkdir", "-p", "floor"])

    def close(self) -> None:
        leave = [*self.ssh, "-O", "exit", self.sshd.destination]
        subprocess.run(leave, capture_output=True, check=False)

    def repository(self, name: str) -> str:
        return repos.repository(self.cache, name)

    def fresh(self, prefix: str = "label") -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    # --- dobby --------------------------------------------------------------------------

    def launch(self, repo: str, revision: str, label: str, *options: str, home: str = "") -> float:
        """Seconds from Enter to the command's first line; returns once the run is final."""
        argv = [*DOBBY, "run", revision, "echo first", "-f", "-H", self.sshd.destination, "-l", label]
        env = {**self.env, "HOME": home} if home else self.env
        return timing.first_line([*argv, *options], env, repo, b"first")

    def start(self, repo: str, label: str, command: str) -> None:
        """Launch without an environment; returns once the host has acknowledged."""
        self.verb("run", "main", command, "-l", label, *NO_ENVIRONMENT, repo=repo)

    def verb(self, *words: str, repo: str = "/") -> float:
        return timing.whole([*DOBBY, *words, "-H", self.sshd.destination], self.env, repo)

    def dobby(self, *words: str) -> float:
        """A verb that needs no host."""
        return timing.whole([*DOBBY, *words], self.env, "/")

    def job(self, repo: str, label: str) -> str:
        """Where the host keeps this job."""
        return f"{self.home}/.dobby/projects/{os.path.basename(repo)}/jobs/{label}"

    # --- the host -----------------------------------------------------------------------

    def on_host(self, command: str) -> float:
        """Seconds until a command, over the warm connection, says its first line: "first"."""
        return timing.first_line([*self.ssh, self.sshd.destination, command], self.env, "/", b"first")

    def python(self) -> float:
        """Starting the client's interpreter alone."""
        return timing.whole([sys.executable, "-c", "pass"], self.env, "/")

    def put(self, path: str, content: bytes, mode: str = "644") -> None:
        self.sshd.run(["mkdir", "-p", os.path.dirname(path)])
        self.sshd.run(["sh", "-c", 'cat >"$0" && chmod "$1" "$0"', path, mode], input=content)

    def processes(self, *names: str) -> list[int]:
        """The host's processes of these names (`ps -o comm`)."""
        return [p.pid for p in leftovers.alive(self.sshd.mark, self.sshd.uid) if p.name in names]

    def await_quiet(self) -> None:
        """Until nothing of dobby's works on the host any more but a steward that waits."""
        quiet_since = time.monotonic()
        while time.monotonic() < quiet_since + QUIET_S:
            time.sleep(0.05)
            if self.processes("git", "dobby-run", "dobby-wrap", "dobby-agent"):
                quiet_since = time.monotonic()


def plain_path() -> str:
    """PATH without version managers' shims, which cost 60 ms a start."""
    return os.pathsep.join(
        d for d in os.environ["PATH"].split(os.pathsep) if os.path.basename(d) != "shims"
    )


def uv() -> str | None:
    return shutil.which("uv", path=f"{os.path.dirname(sys.executable)}:{plain_path()}")
