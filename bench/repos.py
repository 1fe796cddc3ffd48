"""Real repositories: a package's source as PyPI has it, with a history rebuilt by git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGE = "networkx==3.6.1"
COMMITS = 40


def fetch_source(folder: str) -> str:
    """The unpacked sdist of PACKAGE; kept in `folder` between runs."""
    target = f"{folder}/{PACKAGE.replace('==', '-')}"
    if not os.path.isdir(target):
        os.makedirs(folder, exist_ok=True)
        argv = [*(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary"), ":all:"]
        subprocess.run([*argv, "-d", folder, PACKAGE], check=True, stdin=subprocess.DEVNULL)
        archive = next(f"{folder}/{n}" for n in sorted(os.listdir(folder)) if n.endswith(".tar.gz"))
        subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return target


def make_repository(source: str, path: str) -> None:
    """A repository of the source's files, added in COMMITS commits, and one tag."""
    shutil.copytree(source, path)
    git(path, "init", "-q", "-b", "main")
    files = sorted(
        os.path.relpath(os.path.join(base, name), path)
        for base, folders, names in os.walk(path)
        for name in names
        if ".git" not in base.split(os.sep)
    )
    step = -(-len(files) // COMMITS)
    for number in range(0, len(files), step):
        git(path, "add", "-f", "--", *files[number : number + step])
        git(path, "commit", "-q", "-m", f"part {number // step + 1}")
    git(path, "tag", "-a", "v1", "-m", "v1")
    git(path, "repack", "-adq")


def git(path: str, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", path, *words], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ).stdout.decode()
