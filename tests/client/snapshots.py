"""What the tests of snapshots share: taking one, looking into one, and what git would say."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from dobby import snapshot

if TYPE_CHECKING:
    from tests.gitrepo import Repo

    from dobby.snapshot import Checkout, Snapshot

LIMIT = 50_000_000


def take(
    repo: Repo,
    revision: str = ".",
    *,
    force: bool = False,
    limit: int = LIMIT,
    files: tuple[str, ...] = (),
) -> Snapshot:
    """The snapshot as a client at the top of `repo` takes it."""
    here = checkout(repo)
    return snapshot.take(here, revision, untracked_limit_bytes=limit, force=force, files=files)


def checkout(repo: Repo) -> Checkout:
    return snapshot.open_checkout(repo.path)


def git_with(repo: Repo, taken: Snapshot, *words: str) -> bytes:
    """stdout of git in `repo`, reading the snapshot's objects too."""
    env = {**os.environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(taken.objects)}
    return subprocess.run(
        ["git", *words], cwd=repo.path, env=env, stdout=subprocess.PIPE, check=True
    ).stdout


def files(repo: Repo, taken: Snapshot) -> dict[str, tuple[str, bytes]]:
    """path -> (mode, content) of all of the snapshot; a submodule's content is its commit."""
    found = {}
    for entry in git_with(repo, taken, "ls-tree", "-r", "-z", taken.commit).split(b"\0")[:-1]:
        front, _, path = entry.partition(b"\t")
        mode, kind, id = front.decode().split(" ")
        content = git_with(repo, taken, "cat-file", "blob", id) if kind == "blob" else id.encode()
        found[os.fsdecode(path)] = (mode, content)
    return found


def contents(repo: Repo, taken: Snapshot) -> dict[str, bytes]:
    return {path: content for path, (_, content) in files(repo, taken).items()}


def as_git_adds(repo: Repo) -> str:
    """The id of the tree that `git add -A` makes of the working tree, in a copy of it."""
    copy = f"{repo.path}.copy"
    shutil.copytree(repo.path, copy, symlinks=True)
    try:
        for words in (["add", "-A"], ["write-tree"]):
            done = subprocess.run(["git", *words], cwd=copy, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()
    finally:
        shutil.rmtree(copy)
