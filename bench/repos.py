"""Real repositories: packages' sources as PyPI has them, with a history rebuilt by git.

They are made once, and kept in a cache folder of the user's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORKX, DJANGO = "networkx==3.6.1", "django==5.2.8"
COMMITS = 40
# A repository's name, and how often it holds which source, each time in a folder of its own.
SMALL, MIDDLE, LARGE, HEAVY = "files1k", "files10k", "files100k", "heavy120mb"
MADE_OF = {
    SMALL: {NETWORKX: 1},
    MIDDLE: {DJANGO: 1, NETWORKX: 3},
    LARGE: {DJANGO: 15},
    HEAVY: {NETWORKX: 1},
}
HEAVY_BYTES = 118_000_000  # of files that no compression makes small: pictures, models, archives
RACY_S = 1.1  # an index no older than its files is read with distrust, and they are hashed again


@contextlib.contextmanager
def cache_of_ours() -> Iterator[str]:
    """The cache folder, nobody else's for as long as this lasts: checkouts in it are changed, and two
    benches at once measure each other."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = f"{base}/dobby-bench"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another bench is under way: it holds {folder}/lock")
        yield folder


def repository(cache: str, name: str) -> str:
    """The path of this repository, its tree as it was made; made now where it is not there."""
    path = f"{cache}/{name}"
    if not os.path.isdir(path):
        _make(cache, name, f"{path}.new")
        os.rename(f"{path}.new", path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}/.git/index.lock")  # of a bench that was killed: the cache is ours alone
    git(path, "checkout", "-q", "-f", "main")
    git(path, "clean", "-qffdx")
    return path


def files(path: str) -> int:
    return git(path, "ls-files").count("\n")


def fetch_source(cache: str, package: str) -> str:
    """The unpacked sdist of a package."""
    target = f"{cache}/{package.replace('==', '-')}"
    if not os.path.isdir(target):
        _download(package, f"{target}.new", target)
    return target


def _download(package: str, folder: str, target: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    argv = [*(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary"), ":all:"]
    subprocess.run([*argv, "-d", folder, package], check=True, stdin=subprocess.DEVNULL)
    archive = next(f"{folder}/{n}" for n in os.listdir(folder) if n.endswith(".tar.gz"))
    subprocess.run(["tar", "-xzf", archive, "-C", folder, "--no-same-owner"], check=True)
    os.unlink(archive)
    os.rename(f"{folder}/{os.listdir(folder)[0]}", target)
    os.rmdir(folder)


def _make(cache: str, name: str, path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    sources = [
        (f"{package.partition('==')[0]}{copy}", fetch_source(cache, package))
        for package, copies in MADE_OF[name].items()
        for copy in range(copies)
    ]
    for folder, source in sources:
        shutil.copytree(source, path if len(sources) == 1 else f"{path}/{folder}", symlinks=True)
    if name == HEAVY:
        _add_heavy(path)
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "gc.auto", "0")
    _commit_in_parts(path)
    git(path, "tag", "-a", "v1", "-m", "v1")
    # No search for deltas in what has none: it takes minutes.
    git(path, "-c", "core.bigFileThreshold=1m", "repack", "-adq")
    time.sleep(RACY_S)
    git(path, "update-index", "-q", "--really-refresh")


def _add_heavy(path: str) -> None:
    chance = random.Random(1)
    os.makedirs(f"{path}/assets")
    for number in range(COMMITS):
        with open(f"{path}/assets/{number}.bin", "wb") as file:
            file.write(chance.randbytes(HEAVY_BYTES // COMMITS))


def _commit_in_parts(path: str) -> None:
    found = sorted(
        os.path.relpath(os.path.join(base, name), path)
        for base, _, names in os.walk(path)
        for name in names
        if ".git" not in base.split(os.sep)
    )
    step = -(-len(found) // COMMITS)
    for number in range(0, len(found), step):
        subprocess.run(
            ["git", "-C", path, "add", "-f", "--pathspec-from-file=-"],
            input="\n".join(f":(literal){name}" for name in found[number : number + step]).encode(),
            check=True,
        )
        git(path, "commit", "-q", "-m", f"part {number // step + 1}")


def git(path: str, *words: str) -> str:
    who = ("-c", "user.name=b", "-c", "user.email=b@example.org")
    return subprocess.run(
        ["git", "-C", path, *who, *words], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ).stdout.decode()
