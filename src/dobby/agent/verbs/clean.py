"""Remove what jobs take up: sandbox, environment, logs, what runs left behind. History stays."""

from __future__ import annotations

import os
import time

from dobby.agent import blobs, containers, hostgit, house, locks, rows, spare, store, turn
from dobby.agent.sizes import size_of
from dobby.agent.trash import Trash
from dobby.core.errors import DobbyError, NotFound
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored
    from dobby.core import layout


def run(call: Call) -> dict[str, Any]:
    """`args`: `labels` (pairs of project, "" for any, and label; none: all jobs), `prefer`,
    `older_than_s` (jobs whose latest run ended longer ago), `keep_logs`, `outputs` (remove
    these too). Answers `cleaned` [{project, label, freed_bytes}] and `kept` [{…, reason}]."""
    args = call.args
    cleaned: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    for job in _jobs(call):
        name = {"project": job.project, "label": job.label}
        runs = rows.of_job(job, [])
        reason = _reason_to_keep(runs, args.get("older_than_s"))
        fd = None if reason else _take(job)
        if fd is None:
            kept.append({**name, "reason": reason or "its label is held: something of a run still lives"})
            continue
        trash = Trash(job)
        try:
            _clean(job, trash, bool(args.get("keep_logs")), bool(args.get("outputs")))
        finally:
            locks.release(fd)
        freed = trash.empty() + _drop_contents(job)
        cleaned.append({**name, "freed_bytes": freed})
        if not args.get("outputs"):
            kept += _outputs_kept(name, runs)
    for project in {job.of_project for job in _jobs(call)}:
        if not any(os.path.isdir(job.sandbox) for job in store.jobs(call.home, project.project)):
            spare.drop(project)
    return {"cleaned": cleaned, "kept": kept}


def _take(job: layout.Job) -> Optional[int]:
    """The label's lock, None where a run has it or still copies its outputs."""
    fd = locks.take(job.lock, wait=False)
    if fd is not None and not turn.is_free(job):
        locks.release(fd)
        return None
    return fd


def _jobs(call: Call) -> list[layout.Job]:
    if not call.args.get("labels"):
        return store.jobs(call.home)
    found = []
    for project, label in call.args["labels"]:
        jobs = store.jobs(call.home, project, label)
        preferred = [j for j in jobs if j.project.lower() == call.args.get("prefer", "").lower()]
        if not jobs:
            raise NotFound(f"no job {shown(label)} on this host")
        found += preferred if preferred and not project else jobs
    return found


def _reason_to_keep(runs: list[Stored], older_than_s: Any) -> str:
    live = [s for s in runs if s.final is None]
    if live:
        return f"it is {live[0].view().status.name}"
    if older_than_s is not None and runs:
        ended = max(os.stat(s.run.final).st_mtime for s in runs)
        if time.time() - ended < older_than_s:
            return "its latest run is younger"
    return ""


def _clean(job: layout.Job, trash: Trash, keep_logs: bool, outputs: bool) -> None:
    """The caller holds the label's lock."""
    containers.forget(job)
    for path in (job.sandbox, f"{job.sandbox}.new", job.environment, job.included):
        trash.take(path)
    for run_id in store.run_ids(job):
        run = job.run(run_id)
        trash.take(run.left)
        if not keep_logs:
            for path in house.logs_of(run):
                trash.take(path)
        if outputs:
            trash.take(run.outputs)
    blobs.forget_needs(job)
    try:
        house.unpin_sandbox(job, hostgit.env_of(job.home))
    except DobbyError:  # no git, or settings that are damaged: a pin too many does no harm
        return


def _drop_contents(job: layout.Job) -> int:
    """Bytes freed of the project's contents that no job needs any more."""
    needs = [other.needs for other in store.jobs(job.home, job.project)]
    return blobs.Store(job.of_project.blobs).drop_unneeded(needs)


def _outputs_kept(name: dict[str, Any], runs: list[Stored]) -> list[dict[str, Any]]:
    size = sum(
        size_of(s.run.outputs) for s in runs if os.path.isdir(s.run.outputs) and os.listdir(s.run.outputs)
    )
    reason = f"its outputs, {size / 1e6:.1f} MB (--outputs removes them too)"
    return [{**name, "reason": reason, "outputs_bytes": size}] if size else []
