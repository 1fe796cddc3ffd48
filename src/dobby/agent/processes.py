"""Which processes there are, whose they are, and a signal that can reach only the one meant.

Linux tells through /proc and pidfds. Where it has neither (macOS), `ps` is asked, and a
process is told by its start time alone; see docs/platforms.md for what is weaker there.
"""

from __future__ import annotations

import errno
import os

from dobby.agent import clock, libc, signal
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

PROC = "/proc"


class Identity(Record):
    """One process for ever: pids are used again, these four together are not.

    `started` is the kernel's start time: clock ticks since boot, elsewhere seconds since 1970
    with an "s" behind; compare it by `same_start`."""

    pid: int
    started: str
    boot: str
    machine: str


class Process(Record):
    """A line of the process table. `group` is its process group's id."""

    pid: int
    parent: int
    group: int
    started: str
    name: str


def has_proc() -> bool:
    """Whether /proc is a process table that may be read (Linux)."""
    return os.path.exists(f"{PROC}/self/stat")


def identify(pid: int) -> Identity:
    """The identity of a living process of this machine. Raises ProcessLookupError."""
    found = look(pid)
    if found is None:
        raise ProcessLookupError(errno.ESRCH, "no such process", str(pid))
    return Identity(pid=pid, started=found.started, boot=clock.boot_id(), machine=clock.machine_id())


def look(pid: int) -> Optional[Process]:
    """The process now at `pid`, None when there is none or it is a zombie."""
    if has_proc():
        return _look_in_proc(pid)
    return next((p for p in table() if p.pid == pid), None)


def same_start(one: str, other: str) -> bool:
    """Whether two start times are of one process. Where ps told them they may be a second apart:
    some reckon them from the uptime anew each time."""
    if one == other:
        return True
    return one.endswith("s") and other.endswith("s") and abs(int(one[:-1]) - int(other[:-1])) <= 1


def is_alive(who: Identity) -> bool:
    """Whether that very process lives. The caller has checked that it is of this machine."""
    if who.boot != clock.boot_id():
        return False
    found = look(who.pid)
    return found is not None and same_start(found.started, who.started)


def age_s(who: Identity) -> Optional[float]:
    """Seconds since that process of this boot was started, by a clock that no one sets; None where
    the start time is of another kind."""
    if not is_of_here(who) or not who.started.isdigit():
        return None
    import time

    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(who.started) / os.sysconf("SC_CLK_TCK")


def table() -> list[Process]:
    """All living processes, of whatever account (a job may start some through sudo), zombies
    left out."""
    if not has_proc():
        return _ask_ps()
    found = (_look_in_proc(int(name)) for name in os.listdir(PROC) if name.isdigit())
    return [process for process in found if process is not None]


def _look_in_proc(pid: int) -> Optional[Process]:
    """proc_pid_stat(5): the name is in parentheses and may hold any byte, so split at the last."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb", buffering=0) as file:
            text = file.read()
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    fields = tail.split(None, 20)
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        started=fields[19].decode(),
        name=head.partition(b"(")[2].decode("utf-8", "replace"),
    )


def command_lines() -> list[bytes]:
    """The words of every process, each line as the kernel has it (NUL between words); none where
    there is no /proc."""
    found = (_read_of(int(name), "cmdline") for name in _pids())
    return [line for line in found if line]


def is_used_by_git(directory: str) -> bool:
    """Whether a git may be at work on a repository; true where that cannot be told."""
    if not has_proc():
        return True
    known = os.fsencode(directory), os.fsencode(os.path.realpath(directory))
    for name in _pids():
        found = _look_in_proc(int(name))
        if found is None or not found.name.startswith("git"):
            continue
        try:
            here = os.fsencode(os.readlink(f"{PROC}/{name}/cwd"))
        except OSError:  # another account's
            here = b""
        said = _read_of(found.pid, "cmdline") + _read_of(found.pid, "environ")
        if any(here == path or here.startswith(path + b"/") or path in said for path in known):
            return True
    return False


def _pids() -> list[str]:
    return [name for name in os.listdir(PROC) if name.isdigit()] if has_proc() else []


def _read_of(pid: int, name: str) -> bytes:
    try:
        with open(f"{PROC}/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _ask_ps() -> list[Process]:
    """ps(1) as POSIX and macOS have it; the ps that was asked is left out."""
    from dobby.agent import spawn

    argv = ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart=,comm="]
    env = {"PATH": "/bin:/usr/bin", "LC_ALL": "C", "TZ": "UTC"}
    _, out, _ = spawn.capture(argv, cwd="/", env=env)
    found = []
    for line in out.decode("utf-8", "replace").splitlines():
        words = line.split(None, 9)
        if len(words) < 10 or words[3].startswith("Z"):
            continue
        name = os.path.basename(words[9])
        if name != "ps" or int(words[1]) != os.getpid():
            found.append(
                Process(
                    pid=int(words[0]),
                    parent=int(words[1]),
                    group=int(words[2]),
                    started=_seconds(words[4:9]),
                    name=name,
                )
            )
    return found


def _seconds(lstart: list[str]) -> str:
    """ps's "Mon Jan 2 03:04:05 2006", in UTC, as a `started`."""
    import calendar
    import time

    return f"{calendar.timegm(time.strptime(' '.join(lstart), '%a %b %d %H:%M:%S %Y'))}s"


def environment_holds(pid: int, entry: bytes) -> bool:
    """Whether the environment that `pid` was started with has `entry` (b"NAME=value")."""
    try:
        with open(f"{PROC}/{pid}/environ", "rb") as file:
            return entry in file.read().split(b"\0")
    except OSError:
        return False


def is_apart(pid: int) -> bool:
    """Whether `pid` is in another PID namespace than we are, or in one that we may not see."""
    try:
        return os.readlink(f"{PROC}/{pid}/ns/pid") != os.readlink(f"{PROC}/self/ns/pid")
    except PermissionError:
        return True
    except OSError:
        return False


def is_shared_pause(pid: int) -> bool:
    """Whether it keeps the user namespace of an account's rootless podman: one for all containers."""
    try:
        with open(f"{PROC}/{pid}/cmdline", "rb") as file:
            words = file.read(4096).split(b"\0")
    except OSError:
        return False
    return os.path.basename(words[0]) == b"catatonit" and words[1:2] == [b"-P"]


def held_locks(pid: int) -> list[str]:
    """The real paths of the files that `pid` holds locked: its descriptors' fdinfo say so
    (proc_pid_fdinfo(5)). Always empty without /proc."""
    found = []
    try:
        for fd in os.listdir(f"{PROC}/{pid}/fd"):
            path = os.readlink(f"{PROC}/{pid}/fd/{fd}")
            if path.endswith("lock") and _is_locked(pid, fd):
                found.append(path)
    except OSError:  # it ended, or closed the descriptor, while we looked
        pass
    return found


def _is_locked(pid: int, fd: str) -> bool:
    with open(f"{PROC}/{pid}/fdinfo/{fd}") as file:
        return any(line.startswith("lock:") for line in file)


def send(process: Process | Identity, number: int) -> bool:
    """Signal that very process, never a stranger at its pid. False when it is gone, is of another
    boot or machine, or may not be signalled by this account."""
    if isinstance(process, Identity) and not is_of_here(process):
        return False
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):  # no Linux, or a kernel before 5.3
        return _is_same(process) and _kill(process.pid, number)
    try:
        if not _is_same(process):
            return False
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(fd)
    return True


def kill_group(group: int) -> None:
    """SIGKILL to a process group, in one stroke, so that a fork in it cannot get away.

    The caller has just seen a living process in it; while one lives, the id names no other."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def is_of_here(who: Identity) -> bool:
    """Whether `who` was a process of this machine since its last boot."""
    return who.machine == clock.machine_id() and who.boot == clock.boot_id()


def _is_same(process: Any) -> bool:
    found = look(process.pid)
    return found is not None and same_start(found.started, process.started)


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
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


def signal_at_parents_end(number: int) -> None:
    """Have this process get a signal when its parent dies, 0: no longer (PR_SET_PDEATHSIG)."""
    if has_proc():
        pr_set_pdeathsig = 1  # linux/prctl.h
        libc.call("prctl", pr_set_pdeathsig, number, 0, 0, 0)


def become_subreaper() -> bool:
    """Orphans among our descendants become our children: prctl(PR_SET_CHILD_SUBREAPER).

    False where the system has no such thing; then only the process tree that is still
    connected, and the holders of the label's lock, are known."""
    if not has_proc():
        return False
    pr_set_child_subreaper = 36  # linux/prctl.h
    return libc.call("prctl", pr_set_child_subreaper, 1, 0, 0, 0) == 0
