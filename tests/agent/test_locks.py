"""Locks: held by the living, free at once when the holder dies, and never of a file that is gone."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.wait import until

from dobby.agent import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


@pytest.fixture
def child() -> Iterator[Callable[[Callable[[], object]], int]]:
    """`child(body)` forks a process that runs `body` and then sleeps until it is killed; its pid,
    once `body` has run."""
    pids: list[int] = []

    def start(body: Callable[[], object]) -> int:
        ready_r, ready_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                body()
                os.write(ready_w, b"r")
                signal.pause()
            finally:
                os._exit(1)
        pids.append(pid)
        os.close(ready_w)
        assert os.read(ready_r, 1) == b"r"
        os.close(ready_r)
        return pid

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_lock_is_held_until_released(path: str) -> None:
    assert not locks.is_held(path)
    fd = locks.take(path, wait=False)
    assert fd is not None
    assert locks.is_held(path)
    assert locks.take(path, wait=False) is None
    locks.release(fd)
    assert not locks.is_held(path)


def test_death_frees_a_lock(path: str, child: Callable[..., int]) -> None:
    pid = child(lambda: locks.take(path, wait=False))
    assert locks.is_held(path)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not locks.is_held(path))


def test_who_inherits_a_lock_holds_it(path: str, child: Callable[..., int]) -> None:
    """A child's copy outlives our close; a release is for all."""
    fd = locks.take(path, wait=False)
    assert fd is not None
    child(lambda: None)
    os.close(fd)
    assert locks.is_held(path)
    fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    assert locks.is_held(path)


def test_release_is_for_all_who_share(path: str, child: Callable[..., int]) -> None:
    fd = locks.take(path, wait=False)
    assert fd is not None
    child(lambda: None)
    locks.release(fd)
    assert not locks.is_held(path)


def test_a_lock_is_not_inherited_by_programs(path: str) -> None:
    fd = locks.take(path, wait=False)
    assert fd is not None
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_the_lock_is_of_what_stands_there_now(path: str, child: Callable[..., int]) -> None:
    """`clean` removes the file while somebody waits for it: the waiter takes the new one."""
    old = locks.take(path, wait=False)
    assert old is not None
    done_r, done_w = os.pipe()

    def wait_for_it() -> None:
        if os.fork() == 0:
            os.close(old)  # or our copy of it would be waited for
            fd = locks.take(path, wait=True)
            assert fd is not None
            os.write(done_w, b"%d" % os.fstat(fd).st_ino)
            os._exit(0)
        os.close(old)

    child(wait_for_it)
    os.unlink(path)
    new = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    locks.release(old)
    assert int(os.read(done_r, 32)) == os.fstat(new).st_ino
    for fd in (new, done_r, done_w):
        os.close(fd)


def test_lookers_do_not_keep_a_taker_away(path: str, child: Callable[..., int]) -> None:
    """Looking takes the lock shared for an instant; a taker that meets this tries again."""

    def look_for_ever() -> None:
        if os.fork() == 0:
            parent = os.getppid()
            while os.getppid() == parent:
                locks.is_held(path)
            os._exit(0)

    open(path, "w").close()
    for _ in range(3):
        child(look_for_ever)
    for _ in range(300):
        fd = locks.take(path, wait=False)
        assert fd is not None
        locks.release(fd)


def test_one_of_many_takes_it(path: str, child: Callable[..., int], tmp_path: Path) -> None:
    open(path, "w").close()

    def compete(number: int) -> None:
        if locks.take(path, wait=False) is not None:
            (tmp_path / f"won-{number}").touch()

    for number in range(8):
        child(lambda number=number: compete(number))
    assert len(list(tmp_path.glob("won-*"))) == 1


def test_a_symlink_is_no_lock(path: str, tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(OSError, match="symbolic links"):
        locks.take(path, wait=False)
    assert not (tmp_path / "elsewhere").exists()


def test_files_are_private(path: str) -> None:
    before = os.umask(0)
    try:
        fd = locks.take(path, wait=False)
    finally:
        os.umask(before)
    assert fd is not None
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    os.close(fd)
