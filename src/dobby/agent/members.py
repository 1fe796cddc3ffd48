"""Which processes belong to a run, and how all of them are ended."""

from __future__ import annotations

import os
import re
import signal
import time

from dobby.agent import processes
from dobby.core import layout
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.agent.processes import Identity, Process

KILL_ROUNDS_S = 5.0
_STEP_S = 0.01
_LOCK = re.compile(r"/projects/[^/]+/jobs/[^/]+(/runs/[^/]+)?/lock\Z")


class Scope(Record):
    """What tells a run's processes: its id in their environment, or descent from `wrapper`.

    `spare` are pids never counted: the caller itself and the run's own supervisor;
    `own_locks` the real paths of the run's and its label's locks."""

    run_id: str
    wrapper: Optional[Identity]
    spare: frozenset[int]
    own_locks: frozenset[str]


def scope_of(run: layout.Run, wrapper: Optional[Identity], *spare: int) -> Scope:
    """The scope of a run whose wrapper, if it has one yet, is `wrapper`."""
    return Scope(
        run_id=run.run_id,
        wrapper=wrapper,
        spare=frozenset((os.getpid(), *spare)),
        own_locks=frozenset(map(os.path.realpath, (run.lock, run.job.lock))),
    )


def find(scope: Scope) -> list[Process]:
    """The run's living processes, the wrapper left out: it must outlive them, to record how
    the command ended. Never another run's supervisor, nor what lives below it (a job may
    call dobby itself): such a one is known by the lock that it holds."""
    table = processes.table()
    children: dict[int, list[Process]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process)
    found: dict[int, Process] = {}
    others: set[int] = set()
    wrapper = scope.wrapper.pid if scope.wrapper and processes.is_alive(scope.wrapper) else None
    if wrapper is not None:
        _descend(wrapper, children, scope, found, others)
    entry = b"DOBBY_RUN_ID=" + scope.run_id.encode()
    for process in table:
        if process.pid in found or process.pid in others or process.pid in scope.spare:
            continue
        if process.pid != wrapper and processes.environment_holds(process.pid, entry):
            found[process.pid] = process
    return list(found.values())


def _descend(
    pid: int,
    children: dict[int, list[Process]],
    scope: Scope,
    found: dict[int, Process],
    others: set[int],
) -> None:
    for child in children.get(pid, ()):
        if child.pid in scope.spare or child.pid in found:
            continue
        if is_other_run(child.pid, scope.own_locks):
            _collect(child.pid, children, others)
            continue
        found[child.pid] = child
        _descend(child.pid, children, scope, found, others)


def _collect(pid: int, children: dict[int, list[Process]], into: set[int]) -> None:
    into.add(pid)
    for child in children.get(pid, ()):
        _collect(child.pid, children, into)


def is_other_run(pid: int, own_locks: frozenset[str]) -> bool:
    """Whether `pid` belongs to another run: it holds a label's or a run's lock, not ours."""
    held = (path for path in processes.held_locks(pid) if _LOCK.search(path))
    return any(path not in own_locks for path in held)


def end(scope: Scope, grace_s: float) -> list[Process]:
    """SIGINT and SIGCONT to everything, wait, then SIGKILL until nothing of the run is left.

    `grace_s` in seconds, by a monotonic clock. The survivors are returned: [] is the
    promise that stop makes."""
    members = find(scope)
    for process in members:
        processes.send(process, signal.SIGINT)
    for process in members:
        processes.send(process, signal.SIGCONT)
    members = _await_end(scope, grace_s, kill=False)
    return _await_end(scope, KILL_ROUNDS_S, kill=True) if members else []


def _await_end(scope: Scope, seconds: float, kill: bool) -> list[Process]:
    deadline = time.monotonic() + seconds
    pause = _STEP_S
    while True:
        members = find(scope)
        if not members or time.monotonic() >= deadline:
            return members
        if kill:
            for process in members:
                processes.send(process, signal.SIGKILL)
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, 0.1)
