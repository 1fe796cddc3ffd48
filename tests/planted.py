"""Runs that never ran: directories as a host keeps them, thousands in a moment."""

from __future__ import annotations

import json
import os

from dobby.core import layout
from dobby.core import request as rq
from dobby.core import status as st

AT = "2026-01-02T03:04:05.678Z"
_CARRIER = {"pid": 4242, "started": "987654", "boot": "another", "machine": "m"}


def final_run(
    home: str, label: str, number: int, project: str = "shop", aged_s: float = 100.0
) -> layout.Run:
    """The `number`th run of the job, succeeded; its files are `aged_s` old."""
    run_id = f"20260102T{number:06d}-abcdef0123"
    run = layout.Run(home=home, project=project, label=label, run_id=run_id)
    os.makedirs(run.outputs, 0o700)
    asked = rq.Request(
        run_id=run_id,
        project=project,
        label=label,
        host="big",
        commit="0123456789abcdef0123456789abcdef01234567",
        command=f"python etl.py --all --number {number}",
        revision="main",
    )
    _write(run.request, json.dumps({"seq": number, "created_at": AT, "request": rq.to_dict(asked)}))
    events = [
        {"kind": "preparing", "at": AT, "supervisor": _CARRIER},
        {"kind": "phase", "at": AT, "name": "sandbox", "duration_s": 0.25, "note": "new"},
        {"kind": "started", "at": AT, "wrapper": _CARRIER, "log_offset": 31},
    ]
    _write(run.events, "".join(f"{json.dumps(event)}\n" for event in events))
    final = st.Succeeded(finished_at=AT, started_at=AT, duration_s=62.0, log_offset=31)
    _write(run.final, json.dumps(st.dump_final(final)))
    _write(run.log, "x" * 100)
    age(run, aged_s)
    return run


def age(run: layout.Run, seconds: float) -> None:
    """Date what `list` looks at back."""
    then = os.stat(run.request).st_mtime - seconds
    for path in (run.final, run.root, run.job.runs):
        os.utime(path, (then, then))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
