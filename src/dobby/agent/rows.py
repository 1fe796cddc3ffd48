"""Runs of this host as rows, settled first; and which run a caller means."""

from __future__ import annotations

from dobby.agent import conclude, outbox, slots, store
from dobby.core import delivered, layout
from dobby.core import status as st
from dobby.core.errors import DobbyError, NotFound, UsageError
from dobby.core.names import shown
from dobby.core.view import to_row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.store import Stored


def row(stored: Stored) -> dict[str, Any]:
    """The run as JSON shows it; `host` is the name by which the caller asked for this host."""
    view = stored.view()
    found, status = to_row(view, stored.request.host), view.status
    found["notices"] = delivered.summary(outbox.read(stored.run))
    if stored.final is None and not conclude.is_of_here(stored):
        found["note"] = f"on {machine_of(stored)}, not judged from here"
    elif isinstance(status, st.Queued) and status.number is not None:
        found["queue_position"] = slots.position(stored.run.home, status.number)
    return found


def machine_of(stored: Stored) -> str:
    """The host name of the machine that carries a run, where several share one home."""
    carrier = stored.supervisor()
    return carrier.machine.rpartition("/")[2] if carrier else ""


def look(run: layout.Run) -> Optional[Stored]:
    """The run as it is, settled if nobody carries it. Raises DobbyError when unreadable."""
    stored = store.load(run)
    return conclude.settle(stored) if stored else None


def of_job(job: layout.Job, unreadable: Optional[list[str]] = None) -> list[Stored]:
    """A job's runs by their order. What cannot be read is appended to `unreadable`; without that
    it is raised, unless a run that prepares or runs was found: then that is what matters."""
    unread: list[str] = [] if unreadable is None else unreadable
    found = []
    for run_id in store.run_ids(job):
        try:
            stored = look(job.run(run_id))
        except DobbyError as error:
            unread.append(error.message)
            continue
        if stored:
            found.append(stored)
    if unreadable is None and unread and not any(map(_is_active, found)):
        raise DobbyError(
            unread[0], "mend or remove that run's directory on the host, or name another --run"
        )
    return sorted(found, key=lambda one: one.seq)


def _is_active(stored: Stored) -> bool:
    return stored.view().status.name in (st.Preparing.name, st.Running.name)


def meant(runs: list[Stored]) -> Stored:
    """Which of a job's runs its label means: the one that prepares or runs, else its latest
    that is not queued, else its first queued one."""
    for stored in runs:
        if _is_active(stored):
            return stored
    done = [s for s in runs if s.final is not None]
    return done[-1] if done else runs[0]


def target(home: str, args: dict[str, Any]) -> Stored:
    """The run that `args` name: `label`, `project` ("" where none was said), `prefer` (the
    checkout's project), `run` (an id, or the start of one; "" means: by label).

    Raises NotFound, and UsageError when several are meant."""
    label, run_id = args.get("label", ""), args.get("run", "")
    jobs = store.jobs(home, args.get("project", ""), label)
    preferred = [j for j in jobs if j.project.lower() == args.get("prefer", "").lower()]
    if preferred and not args.get("project"):
        jobs = preferred
    if run_id:
        return _by_id(jobs, label, run_id)
    jobs = [j for j in jobs if store.run_ids(j)]
    if not jobs:
        raise NotFound(f"no run of {shown(label)} on this host")
    if len(jobs) > 1:
        names = ", ".join(f"{j.project}/{j.label}" for j in jobs)
        raise UsageError(f"{shown(label)} is a label of several projects: {names}", "say which")
    runs = of_job(jobs[0])
    if not runs:
        raise NotFound(f"no run of {shown(label)} on this host")
    return meant(runs)


def _by_id(jobs: list[layout.Job], label: str, run_id: str) -> Stored:
    exact = [j.run(run_id) for j in jobs if run_id in store.run_ids(j)]
    found = exact or [j.run(other) for j in jobs for other in store.run_ids(j) if other.startswith(run_id)]
    if len(found) > 1:
        names = ", ".join(sorted(run.run_id for run in found)[:5])
        raise UsageError(f"run {shown(run_id)} is not unique: {names}", "give more of the id")
    stored = look(found[0]) if found else None
    if stored is None:
        raise NotFound(f"no run {shown(run_id)} of {shown(label)} on this host")
    return stored
