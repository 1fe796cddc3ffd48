"""What `list` said of jobs whose runs are all over, so that thousands need not be read each time.

It can be deleted at any moment: whatever is not in it, or has changed since, is read from the runs'
directories. An entry holds while four dates and sizes are as they were: a new run, or one removed,
changes its job's `runs`; a file made or removed changes the run's directory; a child that was left
behind makes the log grow; and final.json is what an editor would change.
"""

from __future__ import annotations

import os
import time
import zlib

from dobby.agent import agents, durable
from dobby.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.agent.store import Stored

YOUNG_S = 3.0  # a date so new may stay the same over a further change (as git's racy index)
_HEAD = b"dobby index "


class Index:
    """Of one home, for this very agent: another one may know other fields."""

    def __init__(self, home: str) -> None:
        self._path = layout.index(home, os.path.basename(agents.here()))
        self._known = _parse(durable.read(self._path) or b"")
        self._new: dict[bytes, tuple[bytes, bytes]] = {}
        self._stale: set[bytes] = set()

    def get(self, job: layout.Job) -> Optional[bytes]:
        """The row, JSON, of a job's latest run, where all are over and nothing has changed."""
        key = _key(job)
        entry = self._known.get(key)
        if entry is None:
            return None
        said, row = entry
        run_id, _, state = said.partition(b" ")
        if _state(job, run_id.decode("ascii")) == state:
            return row
        self._stale.add(key)
        return None

    def put(self, job: layout.Job, latest: Stored, row: bytes) -> None:
        """All runs of the job are final and readable, and `row` is its latest. Not kept where
        somebody is still to be told, or something changed just now."""
        run = latest.run
        if os.path.lexists(run.marker):
            return
        state = _state(job, run.run_id)
        newest = max(os.stat(job.runs).st_mtime, os.stat(run.root).st_mtime)
        if state and abs(time.time() - newest) > YOUNG_S and b"\n" not in row:
            self._new[_key(job)] = (run.run_id.encode() + b" " + state, row)

    def save(self) -> None:
        """Keep what is new. Where it cannot be written, the next one reads again."""
        if not self._new and not self._stale:
            return
        entries = {k: v for k, v in self._known.items() if k not in self._stale}
        entries.update(self._new)
        body = b"".join(b"%b\t%b\t%b\n" % (key, said, row) for key, (said, row) in entries.items())
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


def _key(job: layout.Job) -> bytes:
    return f"{job.project}/{job.label}".encode()


def _parse(data: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    """Job -> what it rests on, and its row; nothing of what is torn."""
    head, _, body = data.partition(b"\n")
    if head != _HEAD + b"%08x" % zlib.crc32(body):
        return {}
    found = {}
    for line in body.splitlines():
        key, said, row = line.split(b"\t", 2)
        found[key] = (said, row)
    return found


def _state(job: layout.Job, run_id: str) -> bytes:
    """Dates and sizes that an entry rests on; b"" where the run is not as one that is over."""
    runs = f"{job.home}/projects/{job.project}/jobs/{job.label}/runs"
    root = f"{runs}/{run_id}"
    try:
        parts = [os.stat(path).st_mtime_ns for path in (runs, root, f"{root}/final.json")]
    except OSError:
        return b""
    try:
        size = os.stat(f"{root}/output.log").st_size
    except OSError:
        size = -1
    return b"%d %d %d %d" % (*parts, size)
