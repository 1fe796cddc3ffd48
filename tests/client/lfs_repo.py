"""A repository with files under Git LFS as git-lfs itself makes them, and what its store holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.gitrepo import Repo

if TYPE_CHECKING:
    from pathlib import Path


def content(number: int, size: int = 3000) -> bytes:
    """Bytes that are no text."""
    block = hashlib.sha256(b"%d" % number).digest()
    return (block * (size // 32 + 1))[:size]


def need_git_lfs() -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")


def install() -> None:
    """What `git lfs install` writes: the filter's settings, in the test's own HOME."""
    subprocess.run(["git", "lfs", "install", "--skip-repo"], check=True, stdout=subprocess.DEVNULL)


def make(path: Path) -> Repo:
    """`main` with two files under LFS: data/a.bin, and b.bin, which is executable."""
    need_git_lfs()
    install()
    repo = Repo(str(path))
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("b.bin", content(2), 0o755)
    repo.commit("large files", {"README": "an example\n", "data/a.bin": content(1)})
    return repo


def stored(repo: Repo) -> set[str]:
    """The contents in the repository's own LFS store."""
    found = set()
    for _, _, names in os.walk(f"{repo.path}/.git/lfs/objects"):
        found.update(names)
    return found
