"""Housekeeping, by each supervisor once its run is final: there is no daemon to do it.

Its own job and project each time, all of the host once a day. Nothing here may fail a run: it is over.
"""

from __future__ import annotations

import os
import sys
import time

from dobby.agent import agents, clock, conclude, durable, hostgit, locks, packs, pins, store, trees
from dobby.agent.trash import Trash
from dobby.core import keeping, layout
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from dobby.core.host_settings import HostSettings

NICE = 10
APART_S = 86400.0  # between two looks at the whole host


def keep(run: layout.Run, settings: HostSettings) -> None:
    """Tidy up after `run`, which is final; its label may be another's by now."""
    os.nice(NICE)
    env = hostgit.env_with(settings)
    _attempt(lambda: store.sweep(run.job))
    _attempt(lambda: tidy_job(run.job, settings))
    _attempt(lambda: tidy_caches(run.job.of_project, env))
    _attempt(lambda: _daily(run.home, settings, env))


def _attempt(step: Callable[[], Any]) -> None:
    try:
        step()
    except (OSError, DobbyError) as error:  # goes to supervisor.err; the next run's end tries again
        print(f"not tidied up: {error}", file=sys.stderr)


def _daily(home: str, settings: HostSettings, env: Mapping[str, str]) -> None:
    if not _is_due(home):
        return
    fd = locks.take(layout.house(home), wait=False)
    if fd is None:
        return
    try:
        if _is_due(home):
            os.utime(fd)
            _tidy_all(home, settings, env)
    finally:
        locks.release(fd)


def _is_due(home: str) -> bool:
    """By the date of a file, which begins with the first run: then there is nothing to do yet."""
    path = layout.house(home)
    try:
        return abs(time.time() - os.stat(path).st_mtime) > APART_S
    except FileNotFoundError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, locks.MODE))
        return False


def _tidy_all(home: str, settings: HostSettings, env: Mapping[str, str]) -> None:
    for job in store.jobs(home):
        _attempt(lambda job=job: store.sweep(job))  # type: ignore[misc]
        _attempt(lambda job=job: tidy_job(job, settings))  # type: ignore[misc]
    for name in store.projects(home):
        project = layout.Project(home=home, project=name)
        _attempt(lambda project=project: _tidy_project(project, env))  # type: ignore[misc]
    _attempt(lambda: agents.sweep(home))


# --- runs ----------------------------------------------------------------------------------


def tidy_job(job: layout.Job, settings: HostSettings) -> list[str]:
    """Remove logs, outputs and left/ of the runs that `keep_last` and `keep_days` let go; their
    ids. Where the label is held nothing is done: the end of its run will."""
    if settings.keep_last is None and settings.keep_days is None:
        return []
    if not _outdated(job, settings):
        return []
    fd = locks.take(job.lock, wait=False)
    if fd is None:
        return []
    trash = Trash(job)
    try:
        outdated = _outdated(job, settings) if conclude.is_over(job) else []
        for run in map(job.run, outdated):
            for path in (*logs_of(run), run.outputs, run.left):
                trash.take(path)
    finally:
        locks.release(fd)
    trash.empty()
    return outdated


def _outdated(job: layout.Job, settings: HostSettings) -> list[str]:
    """Not the holder's: what it has left is still moved into its left/."""
    holder = conclude.read_holder(job)
    found = keeping.outdated(_ended(job), settings.keep_last, settings.keep_days, time.time())
    return [run_id for run_id in found if run_id != holder]


def _ended(job: layout.Job) -> Iterable[keeping.Ended]:
    """The final runs that still take up room; what cannot be read is left alone."""
    for run in map(job.run, store.run_ids(job)):
        if not any(os.path.lexists(path) for path in (run.log, run.left, run.outputs)):
            continue
        try:
            stored = store.load(run)
        except DobbyError:
            continue
        if stored is not None and stored.final is not None:
            ended = clock.parse(stored.final.finished_at)
            yield keeping.Ended(run_id=run.run_id, seq=stored.seq, ended=ended)


def logs_of(run: layout.Run) -> tuple[str, ...]:
    """What tells of a log's lines; of those that people are still to be told, the log alone."""
    told = () if os.path.lexists(run.marker) else (run.excerpt,)
    return (run.log, run.trouble, *told)


# --- caches --------------------------------------------------------------------------------


def caches_of(project: layout.Project) -> list[str]:
    """The project's object cache, and its submodules'."""
    names = sorted(durable.names(project.module_caches))
    modules = [f"{project.module_caches}/{name}" for name in names if name.endswith(".git")]
    return [path for path in (project.cache, *modules) if os.path.isdir(path)]


def tidy_caches(project: layout.Project, env: Mapping[str, str]) -> None:
    for cache in caches_of(project):
        packs.consolidate(cache, env)


def _sweep_unborn(project: layout.Project) -> None:
    """Caches that a launch was making when it was killed (objects.ensure_cache), a day ago or more."""
    for folder in (project.root, project.module_caches):
        for name in durable.names(folder):
            path = f"{folder}/{name}"
            unborn = ".git.new-" in name and not name.endswith(".git")
            if unborn and time.time() - os.lstat(path).st_mtime > APART_S:
                trees.remove_tree(path)


def _tidy_project(project: layout.Project, env: Mapping[str, str]) -> None:
    _sweep_unborn(project)
    known = set(store.labels(project))
    for cache in caches_of(project):
        packs.recover(cache)
        packs.consolidate(cache, env)
        for label in pins.labels(cache, env) - known:
            pins.drop_job(cache, label, env)


def unpin_sandbox(job: layout.Job, env: Mapping[str, str]) -> None:
    """The job's sandbox is gone. The commit of its last run stays pinned: it can be run again."""
    for cache in caches_of(job.of_project):
        pins.drop_sandbox(cache, job.label, env)
