"""What `list` said of jobs whose runs are all over, so that thousands need not be read each time.

It can be deleted at any moment: whatever is not in it, or has changed since, is read from the runs'
directories. An entry holds while four dates and sizes are as they were: a new run, or one removed,
changes its job's `runs`; a file made or removed changes the run's directory; a child that was left
behind makes the log grow; and final.json is what an editor would change. The file: a line with the
checksum of what follows, which is marshal's, because its reading is what each `ps` waits for.
"""

from __future__ import annotations

import marshal
import os
import time
import zlib

from dobby.agent import agents, durable
from dobby.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.agent.store import Stored

    State = tuple[int, int, int, int]

YOUNG_S = 3.0  # a date so new may stay the same over a further change (as git's racy index)
_HEAD = b"dobby index "


class Index:
    """Of one home, for this very agent: another one may know other fields."""

    def __init__(self, home: str) -> None:
        self._path = layout.index(home, os.path.basename(agents.here()))
        # "project/label" -> the latest run's id, what its entry rests on, and its row
        self._known: dict[str, tuple[str, State, bytes]] = _parse(durable.read(self._path) or b"")
        self._changed = False
        self._jobs = ("", -1)  # the project that was looked at last, and its directory of jobs

    def get(self, job: layout.Job) -> Optional[bytes]:
        """The row, JSON, of a job's latest run, where all are over and nothing has changed."""
        key = f"{job.project}/{job.label}"
        entry = self._known.get(key)
        if entry is None:
            return None
        run_id, state, row = entry
        if self._state(job, run_id) == state:
            return row
        del self._known[key]
        self._changed = True
        return None

    def put(self, job: layout.Job, latest: Stored, row: bytes) -> None:
        """All runs of the job are final and readable, and `row` is its latest. Not kept where
        somebody is still to be told, or something changed just now."""
        run = latest.run
        if os.path.lexists(run.marker):
            return
        state = self._state(job, run.run_id)
        newest = max(os.stat(job.runs).st_mtime, os.stat(run.root).st_mtime)
        if state and abs(time.time() - newest) > YOUNG_S:
            self._known[f"{job.project}/{job.label}"] = (run.run_id, state, row)
            self._changed = True

    def close(self) -> None:
        """Keep what is new. Where it cannot be written, the next one reads again."""
        self._leave()
        if self._changed:
            self._write(marshal.dumps(self._known))

    def _write(self, body: bytes) -> None:
        temp = f"{self._path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            durable.make_dirs(os.path.dirname(self._path))
            durable.write_new(temp, _HEAD + b"%08x\n" % zlib.crc32(body) + body)
            os.rename(temp, self._path)
        except OSError:
            try:
                os.unlink(temp)
            except OSError:
                return

    def _state(self, job: layout.Job, run_id: str) -> Optional[State]:
        """Dates and sizes that an entry rests on; None where the run is not as one that is over."""
        stat, runs, root = os.stat, f"{job.label}/runs", f"{job.label}/runs/{run_id}"
        try:
            if self._jobs[0] != job.project:
                self._enter(job.of_project)
            at = self._jobs[1]
            run = stat(root, dir_fd=at).st_mtime_ns
            final = stat(f"{root}/final.json", dir_fd=at).st_mtime_ns
            of_job = stat(runs, dir_fd=at).st_mtime_ns
        except OSError:
            return None
        try:
            return of_job, run, final, stat(f"{root}/output.log", dir_fd=at).st_size
        except OSError:
            return of_job, run, final, -1

    def _enter(self, project: layout.Project) -> None:
        """So that no look-up needs to begin at the top, half of what it takes. Jobs come project by
        project, and a host may have more of them than a process may have open. Raises OSError."""
        self._leave()
        self._jobs = (project.project, os.open(project.jobs, os.O_RDONLY | os.O_CLOEXEC))

    def _leave(self) -> None:
        if self._jobs[1] >= 0:
            os.close(self._jobs[1])
        self._jobs = ("", -1)


def _parse(data: bytes) -> dict[str, tuple[str, State, bytes]]:
    """Nothing of what is torn."""
    head, _, body = data.partition(b"\n")
    if head != _HEAD + b"%08x" % zlib.crc32(body):
        return {}
    try:
        found: dict[str, tuple[str, State, bytes]] = marshal.loads(body)  # noqa: S302 - it is our own
    except (EOFError, TypeError, ValueError):  # of a newer interpreter
        return {}
    return found
