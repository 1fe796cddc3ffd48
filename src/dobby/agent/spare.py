"""A project's spare sandbox: a checkout that no job has run in, renamed into place for a new label.

A supervisor makes one while its command runs, where the project has several jobs and no spare. A new
label takes it by one rename, and then only what differs from its own commit is moved: seconds less
where a checkout has many files. It is whole, or it is not there; nothing depends on it.
"""

from __future__ import annotations

import os
import time

from dobby.agent import durable, locks, objects, processes, room, spawn, trees, trouble, variables
from dobby.agent.steps import StepFailed, Steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.agent.charge import Charge
    from dobby.core import layout

FEWEST_JOBS = 2  # a project whose one job runs again and again needs no second checkout
LEAST_FREE = 0.2  # of the disk
PATIENCE_S = 0.3
_STEP_S = 0.002
NICE = 19


def take(project: layout.Project, top: bytes) -> bool:
    """Put the spare at `top`, where nothing is; False where there is none. One that is just being made is
    waited for, but not for long: where little is to be written it is there sooner than another one
    beside it, and where there is much, or the host is busy, that is not known."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            os.rename(at(project), top)
            return True
        except OSError:
            if time.monotonic() > until or not locks.is_held(project.spare_lock):
                return False
        time.sleep(_STEP_S)


def at(project: layout.Project) -> str:
    """Where the spare lies that this process could take."""
    return project.spare(_umask())


def settle(top: str) -> None:
    """Git takes a file that is as new as its index for possibly changed, and reads it (its
    racy-git.txt). Nobody has been in a spare since it was made: its index is made newer than all files,
    by the clock of their own filesystem."""
    try:
        os.utime(f"{top}/.git/index")
    except OSError:  # damaged, or taken in this instant: whoever looks at it will find that
        return


def drop(project: layout.Project) -> None:
    """The project has no sandboxes any more. One that is just being made is waited for."""
    lock = locks.take(project.spare_lock, wait=True)
    assert lock is not None  # noqa: S101 - it waited
    try:
        for name in durable.names(project.root):
            if name.startswith("spare.") and name != os.path.basename(project.spare_lock):
                trees.remove_tree(f"{project.root}/{name}")
    finally:
        locks.release(lock)


def keep(charge: Charge, make: Callable[[Steps, str], None]) -> None:
    """Have a spare made by a process of its own, where one is wanted. `make(steps, path)` makes it."""
    project = charge.run.job.of_project
    try:
        if not _is_wanted(project) or os.fork():
            return
    except OSError:  # the command runs: nothing else counts
        return
    try:
        os.setsid()
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # locks, which this process must not hold
        spawn.default_signals()
        processes.name_self("dobby-spare")
        os.nice(NICE)
        _make(charge, project, make)
    except BaseException:
        trouble.tell()
    finally:
        os._exit(0)


def _is_wanted(project: layout.Project) -> bool:
    if os.path.lexists(at(project)) or len(os.listdir(project.jobs)) < FEWEST_JOBS:
        return False
    disk = room.of_disk(project.root)
    return (disk["free_bytes"] or 0) > LEAST_FREE * (disk["total_bytes"] or 0)


def _make(charge: Charge, project: layout.Project, make: Callable[[Steps, str], None]) -> None:
    lock = locks.take(project.spare_lock, wait=False)
    if lock is None or not _is_wanted(project):
        return
    objects.pin_spare(project.cache, charge.request.commit)
    for module in charge.request.modules:
        objects.pin_spare(project.module_cache(module.name), module.commit)
    nothing = os.open(os.devnull, os.O_RDWR)
    env = {**variables.of_host(charge.settings, os.environ), "LC_ALL": "C.UTF-8"}
    try:
        make(Steps(env, nothing, lambda name, took, note: None), at(project))
    except (StepFailed, OSError):  # the next run tries again
        return


def _umask() -> int:
    """The mode of a checkout's files, which a rename does not change."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
