"""Which processes belong to a run, and how all of them are ended."""

from __future__ import annotations

import os
import time

from dobby.agent import cgroups, containers, processes, signal
from dobby.core.lazy import regex
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

    from dobby.agent.processes import Identity, Process
    from dobby.core import layout

KILL_ROUNDS_S = 5.0
ENGINE_CLEARS_S = 3.0  # for an engine to see the end of its container, and to remove it
_STEP_S = 0.01
_LOCK = regex(r"/projects/[^/]+/jobs/[^/]+(/runs/[^/]+)?/lock\Z|/steward[^/]*\.lock\Z")


class Scope(Record):
    """What tells a run's processes: its id in their environment, or descent from `root`: the
    wrapper, or the supervisor while it prepares; or that they are in its `cgroup`, where it has
    one. The root itself is not counted.

    `own_locks` are the real paths of the run's and its label's locks. `contained` is the run where an
    engine may know a container of it: SIGINT is for those in the container, and SIGKILL first, so
    that the engine's own processes can clear away."""

    run_id: str
    root: Optional[Identity]
    own_locks: frozenset[str]
    cgroup: str = ""
    contained: Optional[layout.Run] = None


class _Look(Record):
    """One look at the process table. `groups` are process groups that hold nothing but members;
    `cgroup` is the run's where that holds nothing else either."""

    members: list[Process]
    groups: frozenset[int]
    cgroup: str


def scope_of(run: layout.Run, root: Optional[Identity], cgroup: str = "") -> Scope:
    """The scope of a run whose wrapper, if it has one yet, is `root`."""
    return Scope(
        run_id=run.run_id,
        root=root,
        own_locks=frozenset(map(os.path.realpath, (run.lock, run.job.lock))),
        cgroup=cgroup,
        contained=run if os.path.exists(run.container) else None,
    )


def find(scope: Scope) -> list[Process]:
    """The run's living processes. The wrapper is left out: it must outlive them, to record how
    the command ended. Never another run's supervisor or the steward, nor what lives below it (a
    job may call dobby itself): such a one is known by the lock that it holds. Never ourselves."""
    return _look(scope, {}).members


def named(found: Iterable[Process]) -> str:
    """Processes for a message: "sleep (pid 12), python3 (pid 13)"."""
    return ", ".join(f"{process.name} (pid {process.pid})" for process in found)


def _look(scope: Scope, seen: dict[int, str]) -> _Look:
    """The members now. `seen` maps the pids of those found before to their start times; they stay
    members, and so do their children, whoever has become their parent since."""
    table = processes.table()
    roots = [p.pid for p in table if p.pid in seen and processes.same_start(seen[p.pid], p.started)]
    found = {p.pid: p for p in table if p.pid in roots}
    never = {os.getpid()}
    if scope.root is not None and processes.is_alive(scope.root):
        never.add(scope.root.pid)
        roots.append(scope.root.pid)
    _descend(scope, roots, table, found, never)
    fenced = cgroups.processes(scope.cgroup) if scope.cgroup else set()
    never.update(pid for pid in fenced - set(found) if is_other_run(pid, scope.own_locks))
    entry = b"DOBBY_RUN_ID=" + scope.run_id.encode()
    for process in table:
        if process.pid in found or process.pid in never:
            continue
        if process.pid in fenced or processes.environment_holds(process.pid, entry):
            found[process.pid] = process
    foreign = {process.group for process in table if process.pid not in found}
    groups = {process.group for process in found.values()} - foreign
    seen.update((process.pid, process.started) for process in found.values())
    return _Look(
        members=list(found.values()),
        groups=frozenset(groups),
        cgroup="" if fenced & never else scope.cgroup,
    )


def _descend(
    scope: Scope,
    roots: list[int],
    table: list[Process],
    found: dict[int, Process],
    never: set[int],
) -> None:
    """Put the descendants of `roots` into `found`, and into `never` those of other runs."""
    children: dict[int, list[Process]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process)
    below = [(child, False) for root in roots for child in children.get(root, ())]
    visited: set[int] = set()
    while below:
        process, is_others = below.pop()
        if process.pid in never or process.pid in visited:
            continue
        visited.add(process.pid)
        if is_others or is_other_run(process.pid, scope.own_locks):
            is_others = True
            never.add(process.pid)
        else:
            found[process.pid] = process
        below += [(child, is_others) for child in children.get(process.pid, ())]


def is_other_run(pid: int, own_locks: frozenset[str]) -> bool:
    """Whether `pid` belongs to another run, or is the steward: by the locks that it holds. Or it serves
    all containers of the account, and came to be below whoever needed it first."""
    if processes.is_shared_pause(pid):
        return True
    held = (path for path in processes.held_locks(pid) if _LOCK.search(path))
    return any(path not in own_locks for path in held)


def end(scope: Scope, grace_s: float) -> list[Process]:
    """SIGINT and SIGCONT to everything, wait, then SIGKILL until nothing of the run is left.

    `grace_s` in seconds, by a monotonic clock. The survivors are returned: [] is the promise
    that stop makes. The wrapper has ended then too, and that ends only when the kernel knows of
    no child of it any more: a proof which no look at a table can give."""
    proofs = 1 if _unfinished(scope) else 2
    seen: dict[int, str] = {}
    members = _look(scope, seen).members
    for process in members if scope.contained is None else _inside(members):
        processes.send(process, signal.SIGINT)
    for stopped in (*members, *([scope.root] if scope.root else ())):
        processes.send(stopped, signal.SIGCONT)
    left = _await_end(scope, seen, grace_s, proofs, kill=False)
    if left and scope.contained:
        left = _await_end(scope, seen, ENGINE_CLEARS_S, proofs, kill=True)
    if left:
        left = _await_end(scope.replace(contained=None), seen, KILL_ROUNDS_S, proofs, kill=True)
    if scope.contained:
        containers.remove(scope.contained, force=True)
    return left


def _inside(members: Iterable[Process]) -> list[Process]:
    """Those in a container: in another PID namespace than we are."""
    return [process for process in members if processes.is_apart(process.pid)]


def _await_end(
    scope: Scope, seen: dict[int, str], seconds: float, proofs: int, kill: bool
) -> list[Process]:
    """What is left after at most `seconds`. Nothing is left once `proofs` looks in a row have
    found nothing: one misses what forks or execs at that very moment."""
    deadline, pause, empty = time.monotonic() + seconds, _STEP_S, 0
    while True:
        look = _look(scope, seen)
        left = look.members or _unfinished(scope)
        empty = 0 if left else empty + 1
        if empty == proofs or (left and time.monotonic() >= deadline):
            return left
        if kill and scope.contained:
            for process in _inside(look.members):
                processes.send(process, signal.SIGKILL)
        elif kill:
            if look.cgroup:
                cgroups.kill(look.cgroup)
            for group in look.groups:
                processes.kill_group(group)
            for process in look.members:
                processes.send(process, signal.SIGKILL)
        time.sleep(min(pause, max(0.001, deadline - time.monotonic())))
        pause = min(pause * 1.5, 0.1)


def _unfinished(scope: Scope) -> list[Process]:
    """The wrapper, while it lives: it has not yet seen the end of all, or not written it down."""
    if scope.root is None or scope.root.pid == os.getpid():
        return []
    process = processes.look(scope.root.pid)
    return [process] if process is not None and processes.is_alive(scope.root) else []
