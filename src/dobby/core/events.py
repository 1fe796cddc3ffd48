"""What happened in a run: one JSON object a line, appended and fsynced by the lock's holder.

| kind       | fields besides `kind` and `at`                                            |
|------------|---------------------------------------------------------------------------|
| queued     | supervisor {pid, started, boot, machine}; behind: the run id ahead of it,  |
|            | or number, max_running: its place among all that wait for a slot           |
| preparing  | supervisor: the label's lock is held from here on                          |
| phase      | name, duration_s, note: one step of the preparation is done                |
| started    | wrapper {pid, started, boot, machine}; log_offset: the job's bytes begin;  |
|            | cgroup: the command's own, "" where it has none; fences: all that it       |
|            | entered, for its limits;                                                   |
|            | environment: its fingerprint, another one for other recipes                |
| stopping   | by, reason ("stop" or "timeout")                                           |
| note       | text: anything worth telling, e.g. a child left behind                     |

How the command ended stands in exit.json and final.json, not here.
`at` is UTC, ISO 8601 with milliseconds and Z. Readers ignore kinds and fields they do not
know, and a last line that was cut.
"""

from __future__ import annotations

from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUEUED, PREPARING, PHASE = "queued", "preparing", "phase"
STARTED, STOPPING, NOTE = "started", "stopping", "note"


def dump_event(kind: str, at: str, **fields: Any) -> bytes:
    """One line, newline included."""
    return json.dumps({"kind": kind, "at": at, **fields}, separators=(",", ":")).encode() + b"\n"


def parse_events(data: bytes) -> list[dict[str, Any]]:
    """The events of a whole file. A last line without a newline was cut, and is left out.

    Raises ValueError when a whole line is no JSON object: the file is not ours."""
    events = []
    for line in data.split(b"\n")[:-1]:
        event = json.loads(line)
        if not isinstance(event, dict) or "kind" not in event:
            raise ValueError("a line is not an event")
        events.append(event)
    return events
