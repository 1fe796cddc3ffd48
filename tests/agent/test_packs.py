"""A cache's packs are put together, and nobody misses an object for an instant."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import commit, git, in_child, make_repo, send
from tests.wait import until

from dobby.agent import objects, packs
from dobby.core.errors import DobbyError

if TYPE_CHECKING:
    from pathlib import Path

ENV = dict(os.environ)


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "laptop", {"a.txt": "a\n" * 500, "b.bin": os.urandom(60_000)})


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "dobby/cache.git")


def fill(laptop: Path, cache: str, launches: int, begin: int = 0) -> list[str]:
    """A pack for each launch; the commits. Only the last one is pinned."""
    made = []
    for number in range(begin, begin + launches):
        made.append(commit(laptop, {"a.txt": "a\n" * 500 + f"{number}\n"}))
        send(laptop, cache, made[-1:])
        objects.pin(cache, "job", made[-1])
    return made


def pack_names(cache: str) -> list[str]:
    return sorted(name for name in os.listdir(f"{cache}/objects/pack") if name.endswith(".pack"))


def everything(cache: str) -> set[str]:
    listed = git(cache, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects", "--unordered")
    return set(listed.split())


def test_many_become_few_and_lose_nothing(laptop: Path, cache: str, tmp_path: Path) -> None:
    made = fill(laptop, cache, packs.MOST + 4)
    loose = commit(laptop, {"c": "unpinned"})
    send(laptop, cache, [loose])  # no ref leads to it
    before, sizes = everything(cache), len(pack_names(cache))
    sandbox = tmp_path / "sandbox"
    git(tmp_path, "clone", "-q", "--shared", "-n", cache, str(sandbox))
    reader = subprocess.Popen(
        ["git", "cat-file", "--batch-check"], cwd=sandbox, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def ask(wanted: str) -> bytes:
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write(f"{wanted}\n".encode())
        reader.stdin.flush()
        return reader.stdout.readline()

    assert b"commit" in ask(made[0])  # it knows all packs, and has opened one
    assert packs.consolidate(cache, ENV) > packs.MOST / 2
    assert len(pack_names(cache)) < sizes / 2
    assert everything(cache) == before
    assert all(b"commit" in ask(id) for id in [*made, loose])
    reader.communicate()
    git(cache, "fsck", "--full")
    assert packs.consolidate(cache, ENV) == 0


def test_a_large_pack_is_left_where_it_is(laptop: Path, cache: str) -> None:
    fill(laptop, cache, 1)
    large = pack_names(cache)
    fill(laptop, cache, packs.MOST, begin=1)
    packs.consolidate(cache, ENV)
    assert len(pack_names(cache)) == 2
    assert set(large) < set(pack_names(cache))


def test_packs_of_sha256(tmp_path: Path) -> None:
    laptop = make_repo(tmp_path / "laptop", {"a": "1"}, "sha256")
    cache = str(tmp_path / "cache.git")
    for number in range(packs.MOST + 1):
        send(laptop, cache, [commit(laptop, {"a": str(number)})], "sha256")
    before = everything(cache)
    assert packs.consolidate(cache, ENV) > 1
    assert everything(cache) == before


def test_a_pack_that_is_to_be_kept_is(laptop: Path, cache: str) -> None:
    fill(laptop, cache, packs.MOST + 2)
    kept = pack_names(cache)[0]
    open(f"{cache}/objects/pack/{kept[:-5]}.keep", "w").close()
    packs.consolidate(cache, ENV)
    assert kept in pack_names(cache)


def test_a_damaged_pack_changes_nothing(laptop: Path, cache: str) -> None:
    fill(laptop, cache, packs.MOST + 1)
    names = pack_names(cache)
    small = min(names, key=lambda name: os.stat(f"{cache}/objects/pack/{name}").st_size)
    os.chmod(f"{cache}/objects/pack/{small}", 0o600)
    os.truncate(f"{cache}/objects/pack/{small}", 40)
    with pytest.raises(DobbyError, match="were not put together"):
        packs.consolidate(cache, ENV)
    assert pack_names(cache) == names


def _await(pattern: str, pid: int) -> None:
    """Until such a file is there, or the child has been too fast for us."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    until(lambda: glob.glob(pattern) or os.waitid(os.P_PID, pid, ended))


def test_killed_midway_it_is_done_by_the_next(laptop: Path, cache: str) -> None:
    fill(laptop, cache, packs.MOST + 1)
    before = everything(cache)
    for sign in ("/packing", "/objects/pack/tmp_"):
        pid = in_child(lambda: packs.consolidate(cache, ENV))
        _await(f"{cache}{sign}*", pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert everything(cache) == before
    until(lambda: packs.consolidate(cache, ENV) or len(pack_names(cache)) <= packs.MOST)
    assert everything(cache) == before


def test_what_killed_gits_left_goes_once_nobody_can_hold_it(laptop: Path, cache: str) -> None:
    fill(laptop, cache, 1)
    old = [f"{cache}/packed-refs.lock", f"{cache}/refs/dobby/x.lock", f"{cache}/objects/pack/tmp_pack_x"]
    fresh = f"{cache}/config.lock"
    for path in (*old, fresh):
        open(path, "w").close()
    then = time.time() - packs.STALE_S - 1
    for path in old:
        os.utime(path, (then, then))
    at_work = subprocess.Popen(["git", "cat-file", "--batch"], cwd=cache, stdin=subprocess.PIPE)
    assert packs.recover(cache) == []
    assert at_work.stdin
    at_work.stdin.close()
    at_work.wait()
    assert sorted(packs.recover(cache)) == sorted(old)
    assert os.path.exists(fresh)
    git(cache, "pack-refs", "--all")
