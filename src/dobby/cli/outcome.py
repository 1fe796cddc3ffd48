"""What a run's end means to whoever waited for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TIMED_OUT, NOT_RUN, STOPPED, SIGNAL_BASE, SIGKILL = 124, 125, 130, 128, 9
INTERRUPTED = 130


def exit_code(row: Mapping[str, Any]) -> int:
    """The job's own code; 128+N when a signal ended it; 124 timed out; 130 stopped; 125 lost,
    or the set-up failed. 0 for a run that is not final: only `logs` without -f shows one."""
    status, cause = row.get("status"), row.get("cause") or {}
    if status == "stopped":
        return STOPPED
    if status == "timed_out":
        return TIMED_OUT
    if status != "failed":
        return NOT_RUN if status == "lost" else 0
    kind = cause.get("kind")
    if kind == "exit":
        return int(cause["code"])
    if kind == "signal":
        return SIGNAL_BASE + int(cause["number"])
    return SIGNAL_BASE + SIGKILL if kind == "out_of_memory" else NOT_RUN


def sentence(row: Mapping[str, Any]) -> str:
    """ "etl on gpu: failed (exit 3) after 1m12s"; and where the set-up failed, its last lines."""
    from dobby.views.table import status_text
    from dobby.views.units import duration_text

    text = f"{row.get('label')} on {row.get('host')}: {status_text(row)}"
    if row.get("duration_s") is not None:
        text += f" after {duration_text(row['duration_s'])}"
    return text + (f"\n{row['note']}" if row.get("note") else "")
