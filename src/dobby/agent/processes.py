"""Which processes there are, whose they are, and a signal that can reach only the one meant.

Linux tells through /proc and pidfds. Where it has neither (macOS), `ps` is asked, and a
process is told by its start time alone; see docs/platforms.md for what is weaker there.
"""

from __future__ import annotations

import os
import signal

from dobby.agent import clock
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

PROC = "/proc"


class Identity(Record):
    """One process for ever: pids are used again, these four together are not.

    `started` is the kernel's start time (clock ticks since boot; lstart of ps elsewhere)."""

    pid: int
    started: str
    boot: str
    machine: str


class Process(Record):
    """A line of the process table."""

    pid: int
    parent: int
    started: str
    name: str


def has_proc() -> bool:
    """Whether /proc is a process table that may be read (Linux)."""
    return os.path.exists(f"{PROC}/self/stat")


def identify(pid: int) -> Identity:
    """The identity of a living process of this machine. Raises ProcessLookupError."""
    found = look(pid)
    if found is None:
        raise ProcessLookupError(pid)
    return Identity(pid=pid, started=found.started, boot=clock.boot_id(), machine=clock.machine_id())


def look(pid: int) -> Optional[Process]:
    """The process now at `pid`, None when there is none or it is a zombie."""
    if has_proc():
        return _look_in_proc(pid)
    return next((p for p in table() if p.pid == pid), None)


def is_alive(who: Identity) -> bool:
    """Whether that very process lives. The caller has checked that it is of this machine."""
    if who.boot != clock.boot_id():
        return False
    found = look(who.pid)
    return found is not None and found.started == who.started


def table() -> list[Process]:
    """All living processes of this account, zombies left out."""
    if not has_proc():
        return _ask_ps()
    uid, found = os.geteuid(), []
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"{PROC}/{name}").st_uid != uid:
                continue
        except OSError:
            continue
        process = _look_in_proc(int(name))
        if process is not None:
            found.append(process)
    return found


def _look_in_proc(pid: int) -> Optional[Process]:
    """proc_pid_stat(5): the name is in parentheses and may hold any byte, so split at the last."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    return Process(pid=pid, parent=int(fields[1]), started=fields[19].decode(), name=name)


def _ask_ps() -> list[Process]:
    from dobby.agent import spawn

    argv = ["ps", "-U", str(os.geteuid()), "-o", "pid=,ppid=,stat=,lstart=,comm="]
    env = {"PATH": "/bin:/usr/bin", "LC_ALL": "C"}
    _, out, _ = spawn.capture(argv, cwd="/", env=env)
    found = []
    for line in out.decode("utf-8", "replace").splitlines():
        words = line.split(None, 8)
        if len(words) == 9 and not words[2].startswith("Z"):
            found.append(
                Process(
                    pid=int(words[0]),
                    parent=int(words[1]),
                    started=" ".join(words[3:8]),
                    name=os.path.basename(words[8]),
                )
            )
    return found


def environment_holds(pid: int, entry: bytes) -> bool:
    """Whether the environment that `pid` was started with has `entry` (b"NAME=value")."""
    try:
        with open(f"{PROC}/{pid}/environ", "rb") as file:
            return entry in file.read().split(b"\0")
    except OSError:
        return False


def held_locks(pid: int) -> list[str]:
    """The real paths of the files that `pid` holds locked: its descriptors' fdinfo say so
    (proc_pid_fdinfo(5)). Always empty without /proc."""
    found = []
    try:
        for fd in os.listdir(f"{PROC}/{pid}/fd"):
            path = os.readlink(f"{PROC}/{pid}/fd/{fd}")
            if path.endswith("/lock") and _is_locked(pid, fd):
                found.append(path)
    except OSError:  # it ended, or closed the descriptor, while we looked
        pass
    return found


def _is_locked(pid: int, fd: str) -> bool:
    with open(f"{PROC}/{pid}/fdinfo/{fd}") as file:
        return any(line.startswith("lock:") for line in file)


def send(process: Process | Identity, number: int) -> bool:
    """Signal that very process, never a stranger at its pid. False when it is gone."""
    if not hasattr(os, "pidfd_open"):
        return _is_same(process) and _kill(process.pid, number)
    try:
        fd = os.pidfd_open(process.pid)
    except OSError as error:
        if isinstance(error, ProcessLookupError):
            return False
        return _is_same(process) and _kill(process.pid, number)  # a kernel before 5.3
    try:
        if not _is_same(process):
            return False
        signal.pidfd_send_signal(fd, number)  # type: ignore[attr-defined]
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def _is_same(process: Any) -> bool:
    found = look(process.pid)
    return found is not None and found.started == process.started


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def name_self(name: str) -> None:
    """What `ps -o comm` shows: dobby-agent, dobby-run, dobby-wrap. At most 15 bytes (prctl(2)).

    Linux alone has it; elsewhere the name stays python's."""
    try:
        with open(f"{PROC}/self/comm", "w") as file:
            file.write(name)
    except OSError:
        return


def become_subreaper() -> bool:
    """Orphans among our descendants become our children: prctl(PR_SET_CHILD_SUBREAPER).

    False where the system has no such thing; then only the process tree that is still
    connected, and the holders of the label's lock, are known."""
    if not has_proc():
        return False
    import ctypes

    pr_set_child_subreaper = 36  # linux/prctl.h
    return ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0
