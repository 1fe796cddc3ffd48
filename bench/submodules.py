"""`python -m bench.submodules`: a repository with 6 submodules and 200 MB of history, beside git.

dobby's launches, from Enter to the command's first line, beside `git clone --recurse-submodules` of
the same repositories through the same sshd, and beside the same with `--reference` to an earlier
clone. `--rounds N` (default 5), `--megabytes N` (default 200).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tests import sshd as sshd_module

from bench import repos, timing

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = 6
COMMITS = 10
FILES = 8  # a commit
DOBBY = [os.path.join(os.path.dirname(sys.executable), "dobby")]
ALLOWED = ("-c", "protocol.file.allow=always", "submodule", "-q")
CLONE, REFERENCE = "F git clone --recurse-submodules", "F git clone --recurse-submodules --reference"
FIRST, AGAIN, CHANGED = "first launch", "new label, all is there", "same label, one changed line"


def make_repositories(folder: str, megabytes: int) -> str:
    """The laptop's checkout, its submodules initialised; the repositories lie side by side."""
    size = megabytes * 1_000_000 // (MODULES * COMMITS * FILES)
    names = [f"module{number}" for number in range(MODULES)]
    for name in names:
        _make(f"{folder}/{name}", size)
    _make(f"{folder}/project", 1000)
    for name in names:
        repos.git(f"{folder}/project", *ALLOWED, "add", f"../{name}", name)
    repos.git(f"{folder}/project", "commit", "-q", "-m", "submodules")
    return f"{folder}/project"


def _make(path: str, size: int) -> None:
    """COMMITS commits, each with FILES files that no compression makes small."""
    os.makedirs(path)
    repos.git(path, "init", "-q", "-b", "main")
    for number in range(COMMITS):
        for name in range(FILES):
            with open(f"{path}/file{name}", "wb") as file:
                file.write(os.urandom(size))
        with open(f"{path}/text", "a") as text:
            text.write(f"line {number}\n")
        repos.git(path, "add", "-A")
        repos.git(path, "commit", "-q", "-m", f"part {number}")
    repos.git(path, "repack", "-adq")


class Bench:
    """One laptop (a temporary HOME), one host, one repository."""

    def __init__(self, folder: str, sshd: sshd_module.Sshd, megabytes: int) -> None:
        self.folder, self.sshd, self.number = folder, sshd, 0
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOBBY_", "GIT_", "XDG_"))}
        who = {"NAME": "b", "EMAIL": "b@example.org"}
        self.env = {
            **kept,
            "HOME": f"{folder}/home",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            **{
                f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
            },
            **sshd.env,
            # git gets what dobby has: a connection that is open already.
            "GIT_SSH_COMMAND": f"{sshd.env['DOBBY_SSH']} -o ControlPath={folder}/mux",
        }
        os.makedirs(f"{folder}/run", 0o700)
        os.environ.update(self.env)
        self.ssh = [sshd.env["DOBBY_SSH"], "-o", f"ControlPath={folder}/mux"]
        subprocess.run([*self.ssh, "-M", "-N", "-f", sshd.destination], env=self.env, check=True)
        self.repo = make_repositories(f"{folder}/laptop", megabytes)
        self.remote = f"{sshd.home}/bench-remotes"
        shutil.copytree(f"{folder}/laptop", self.remote, symlinks=True)
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", sshd.user, self.remote], check=True)

    def launch(self, revision: str, label: str) -> float:
        argv = [*DOBBY, "run", revision, "echo first", "-f", "-H", self.sshd.destination]
        argv += ["-l", label, "--environment", "none"]
        return timing.first_line(argv, self.env, self.repo, b"first")

    def first(self) -> float:
        self.sshd.run(["rm", "-rf", ".dobby/projects"])
        return self.launch("main", "same")

    def again(self) -> float:
        self.number += 1
        return self.launch("main", f"label{self.number}")

    def changed(self) -> float:
        with open(f"{self.repo}/module0/text", "a") as file:
            file.write("one more line\n")
        return self.launch(".", "same")

    def clone(self, *options: str) -> float:
        there = f"{self.folder}/clone"
        shutil.rmtree(there, ignore_errors=True)
        url = f"{self.sshd.destination}:{self.remote}/project"
        return timing.whole(
            ["git", *options[:-2], "clone", "-q", "--recurse-submodules", *options[-2:], url, there],
            self.env,
            "/",
        )

    def reference(self) -> float:
        kept = f"{self.folder}/kept"
        if not os.path.isdir(kept):
            self.clone()
            os.rename(f"{self.folder}/clone", kept)
        settings = ("-c", "submodule.alternateLocation=superproject")
        return self.clone(*settings, "--reference", kept)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.submodules")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=200)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bench-")
    os.chmod(folder, 0o755)
    try:
        with sshd_module.serve("bench") as sshd:
            bench = Bench(folder, sshd, args.megabytes)
            bench.launch("main", "warm")  # the agent is there, the connection is made
            bench.reference()
            measures: dict[str, Callable[[], float]] = {
                CLONE: bench.clone,
                FIRST: bench.first,
                REFERENCE: bench.reference,
                AGAIN: bench.again,
                CHANGED: bench.changed,
            }
            _report(timing.interleaved(measures, args.rounds), args)
            shutil.rmtree(bench.remote, ignore_errors=True)
            leave = [*bench.ssh, "-O", "exit", sshd.destination]
            subprocess.run(leave, env=bench.env, capture_output=True, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(found: dict[str, list[float]], args: argparse.Namespace) -> None:
    print(f"\n{MODULES} submodules, {args.megabytes} MB of history; ms, median of {args.rounds}")
    floors = {FIRST: CLONE, AGAIN: REFERENCE, CHANGED: REFERENCE}
    for name, values in found.items():
        ratio = ""
        if name in floors:
            ratio = f"{statistics.median(values) / statistics.median(found[floors[name]]):6.2f} F"
        print(f"  {name:50} {timing.milliseconds(values):24} {ratio}", flush=True)


if __name__ == "__main__":
    main()
