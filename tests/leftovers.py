"""Processes that a test session started: found by a variable that all of them inherit.

The variable is named like a locale's, because of a shell's variables dobby lets only what a login
sets through to the host, and locales are among that."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from tests.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "LC_TEST_SESSION_OF_DOBBY"
GRACE_S = 10.0  # an agent that a client keeps for its next call waits for 5 (protocol.WAITING_S)
# These leave by themselves, but later than a test session wants to wait for.
LINGERING = ("dobby-steward",)


class Process(NamedTuple):
    """One process. `test` is the test during which it was started, "" where that is not known."""

    pid: int
    name: str
    words: str
    test: str

    def __str__(self) -> str:
        origin = f", started by {self.test}" if self.test else ""
        return f"pid {self.pid} ({self.name}) {self.words}{origin}"


def alive(mark: str, uid: int | None = None) -> list[Process]:
    """Processes whose environment holds `mark`, and all of user `uid`, who must be the tests' own
    invention; never our own process, no zombies."""
    assert uid != os.getuid(), "these are the processes of whoever runs the tests"
    return [p for pid in _pids() if (p := _look(pid, f"{MARK}={mark}".encode(), uid))]


def of_user(uid: int) -> list[Process]:
    """Processes of this user alone, whatever they inherited."""
    return [p for pid in _pids() if (p := _look(pid, None, uid))]


def reap(mark: str, uid: int | None = None, grace_s: float | None = None) -> list[str]:
    """End whatever is left, and name what had to be killed: it should have ended by itself,
    within `grace_s` (default GRACE_S)."""
    grace_s = GRACE_S if grace_s is None else grace_s
    end_lingering(alive(mark, uid))
    with contextlib.suppress(AssertionError):
        until(lambda: not alive(mark, uid), grace_s)
    killed: dict[str, None] = {}

    def all_gone() -> bool:
        left = alive(mark, uid)
        killed.update({str(p): None for p in left if p.name not in LINGERING})
        kill_all([p.pid for p in left])
        return not left

    until(all_gone, 5, evidence=lambda: f"cannot be killed: {[str(p) for p in alive(mark, uid)]}")
    return list(killed)


def end_lingering(processes: list[Process]) -> None:
    """Ask those that would stay for a while to leave now."""
    for process in processes:
        if process.name in LINGERING:
            _kill(process.pid, signal.SIGTERM)


def descendants(pid: int) -> list[int]:
    """Children of `pid`, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for other in _pids():
        children.setdefault(_parent(other), []).append(other)
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_all(pids: list[int]) -> None:
    """SIGKILL, passing over what is gone already."""
    for pid in pids:
        _kill(pid, signal.SIGKILL)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _pids() -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return -1


def _look(pid: int, wanted: bytes | None, uid: int | None) -> Process | None:
    if pid == os.getpid():
        return None
    try:
        of_user = uid is not None and os.stat(f"/proc/{pid}").st_uid == uid
        environ = _read(pid, "environ").split(b"\0")
        if wanted not in environ and not of_user:
            return None
        state = _read(pid, "stat").rpartition(b")")[2].split()[0]
        if state in (b"Z", b"X"):
            return None
        test = next((v[20:].decode() for v in environ if v.startswith(b"PYTEST_CURRENT_TEST=")), "")
        words = _read(pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return Process(pid, _read(pid, "comm").decode("utf-8", "replace").strip(), words, test)
    except OSError:  # it ended while we looked, or belongs to somebody else
        return None


def cmdline(pid: int) -> bytes:
    """Its arguments, each ended by NUL; nothing once it is dead, reaped or not."""
    try:
        return _read(pid, "cmdline")
    except OSError:
        return b""


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
