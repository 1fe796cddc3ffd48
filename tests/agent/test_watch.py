"""A watch wakes for what matters, at once, and for nothing else; without inotify it looks again."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from dobby.agent import durable, locks, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOON_S = 5.0


class Watched:
    """A directory under watch, and the caller's end of stdin."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.lock = f"{root}/lock"
        open(self.lock, "w").close()
        stdin, self.caller = os.pipe()
        self.watch = watch.Watch(root, [self.lock], stdin)
        self._stdin = stdin

    def woken(self, most_s: float = SOON_S) -> bool:
        """Whether something woke it before `most_s` had passed. The caller is still there."""
        began = time.monotonic()
        assert self.watch.wait(most_s)
        return time.monotonic() - began < most_s

    def close(self) -> None:
        if self.watch._fd >= 0:
            os.close(self.watch._fd)
        os.close(self._stdin)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(str(tmp_path))
    yield one
    one.close()


def test_it_wakes_for_each_change(watched: Watched) -> None:
    log = f"{watched.root}/output.log"
    changes: list[Callable[[], object]] = [
        lambda: durable.append(log, b"line\n"),
        lambda: durable.create(f"{watched.root}/final.json", b"{}"),
        lambda: durable.replace(f"{watched.root}/other.json", b"{}"),
        lambda: os.truncate(log, 0),
        lambda: os.unlink(log),
    ]
    for change in changes:
        change()
        assert watched.woken()
        while watched.woken(0.05):
            continue


def test_it_wakes_when_the_holder_of_a_lock_is_killed(watched: Watched) -> None:
    pid = os.fork()
    if pid == 0:
        locks.take(watched.lock, wait=True)
        while True:
            signal.pause()
    while not locks.is_held(watched.lock):
        continue
    assert not watched.woken(0.1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert watched.woken()


def test_lookers_wake_nobody(watched: Watched) -> None:
    durable.append(f"{watched.root}/output.log", b"line\n")
    while watched.woken(0.05):
        continue
    locks.is_held(watched.lock)
    durable.read(f"{watched.root}/output.log")
    os.listdir(watched.root)
    assert not watched.woken(0.2)


def test_it_ends_with_its_caller(watched: Watched) -> None:
    os.write(watched.caller, b"a word nobody waits for")
    assert watched.woken()
    os.close(watched.caller)
    assert not watched.watch.wait()


@pytest.mark.parametrize("why", ["no inotify", "nothing to watch"])
def test_without_inotify_it_looks_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "no inotify":
        monkeypatch.setattr(watch, "_inotify", lambda masks: -1)
    stdin, caller = os.pipe()
    one = watch.Watch(str(tmp_path / "not-there"), [], stdin)
    began = time.monotonic()
    assert one.wait()
    assert time.monotonic() - began < 1
    os.close(caller)
    assert not one.wait()
    os.close(stdin)


def test_who_waits_for_the_end_alone_is_not_woken_by_what_is_written(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.touch()
    stdin, caller = os.pipe()
    one = watch.Watch(str(tmp_path), [str(events)], stdin, growth=False)
    with open(tmp_path / "output.log", "wb", buffering=0) as log:
        assert one.wait(5)  # it was made
        log.write(b"a line\n")
    began = time.monotonic()
    assert one.wait(0.3)
    assert time.monotonic() - began > 0.25 or one._fd < 0
    changes: list[Callable[[], object]] = [
        lambda: durable.append(str(events), b"{}\n"),
        lambda: durable.create(str(tmp_path / "final.json"), b"{}"),
    ]
    for change in changes:
        change()
        began = time.monotonic()
        assert one.wait(5)
        assert time.monotonic() - began < 2
    if one._fd >= 0:
        os.close(one._fd)
    os.close(stdin)
    os.close(caller)
