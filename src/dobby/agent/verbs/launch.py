"""Accept a run and start its supervisor; acknowledged only when that lives."""

from __future__ import annotations

import time

from dobby.agent import admission, arrival, conclude, durable, locks, rows, start, stopping, store, turn
from dobby.core import request as rq
from dobby.core.errors import Busy, DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout
    from dobby.core.request import Request

ACCEPTING_S = 0.5


def run(call: Call) -> dict[str, Any]:
    """`args`: `request`, `values` (forwarded ones by name). Answers `run`, a row, and `already`:
    whether this run id had been accepted before."""
    asked = rq.parse_request(call.args["request"])
    job = store.canonical(call.home, asked.project, asked.label)
    run = job.run(asked.run_id)
    request = asked.replace(project=job.project, label=job.label)
    if store.was_accepted(run, request) and not _is_unstarted(run):
        return _answer(run, already=True)
    settings = admission.read_settings(call.home)
    admission.admit(job.of_project, request)
    arrival.ensure(job, request, call)
    durable.make_dirs(job.runs)
    label_fd = _claim(job, request)
    run_fd = store.accept(run, request)
    already = run_fd is None
    if run_fd is None:
        run_fd = locks.take(run.lock, wait=False)
        if run_fd is None or not _is_unstarted(run):
            return _answer(run, already=True)
    start.start(run, request, settings, call.args.get("values", {}), run_fd, label_fd)
    return _answer(run, already)


def _is_unstarted(run: layout.Run) -> bool:
    """Accepted by an agent that died before its supervisor lived."""
    stored = store.load(run)
    return stored is not None and not stored.events and stored.final is None


def _answer(run: layout.Run, already: bool) -> dict[str, Any]:
    stored = rows.look(run)
    if stored is None:
        raise DobbyError(f"run {run.run_id} was removed while it was being started")
    return {"run": rows.row(stored), "already": already}


def _claim(job: layout.Job, request: Request) -> Optional[int]:
    """The label's lock; None where the run is to queue. Raises Busy."""
    while True:
        fd = locks.take(job.lock, wait=False)
        if fd is not None:
            if not turn.anyone_waits(job):
                return fd
            locks.release(fd)
        if request.if_running == "queue":
            return None
        if request.if_running == "refuse":
            raise _busy(job)
        stopping.clear(job, by=request.user)


def _busy(job: layout.Job) -> Busy:
    holder = _holder(job)
    if holder is None:
        return Busy(f"{job.label} is held by a run that is just being accepted", "try again")
    shown = rows.row(holder)
    since = shown["started_at"] or shown["created_at"]
    who = f"{shown['user'] or 'someone'} from {shown['client'] or 'an unnamed machine'}"
    what = f"{shown['status']} since {since}, started by {who}"
    if holder.final is not None:
        what = f"{shown['status']}, but {shown['note'] or 'something it started still runs'}"
    return Busy(
        f"{job.label} is busy: run {holder.run.run_id} is {what}",
        f"wait for it (dobby wait {job.label}), stop it (dobby stop {job.label}), or use another "
        "--label, or --if-running queue|replace",
        holder=shown,
    )


def _holder(job: layout.Job) -> Optional[Stored]:
    """The run that holds the label: a live one, or a final one that left a child behind. Who has
    just taken the lock needs an instant to be accepted."""
    deadline = time.monotonic() + ACCEPTING_S
    while True:
        runs = [s for s in rows.of_job(job) if s.final is None]
        if runs:
            return rows.meant(runs)
        if time.monotonic() > deadline:
            last = conclude.read_holder(job)
            return store.load(job.run(last)) if last else None
        time.sleep(0.01)
