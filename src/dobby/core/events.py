"""What happened in a run: one JSON object a line, appended and fsynced by the lock's holder.

| kind       | fields besides `kind` and `at`                                            |
|------------|---------------------------------------------------------------------------|
| accepted   | supervisor {pid, started, boot, machine}: who carries the run              |
| queued     | behind: the run id that held the label                                     |
| preparing  | supervisor: the label's lock is held from here on                          |
| phase      | name, duration_s, note: one step of the preparation is done                |
| started    | wrapper {pid, started, boot, machine}, log_offset: the job's bytes begin   |
| stopping   | by, reason ("stop" or "timeout")                                           |
| exited     | cause: how the command ended                                               |
| note       | text: anything worth telling, e.g. a child left behind                     |

`at` is UTC, ISO 8601 with milliseconds and Z. Readers ignore kinds and fields they do not
know, and a last line that was cut.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACCEPTED, QUEUED, PREPARING, PHASE = "accepted", "queued", "preparing", "phase"
STARTED, STOPPING, EXITED, NOTE = "started", "stopping", "exited", "note"


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
