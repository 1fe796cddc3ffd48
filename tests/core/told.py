"""Notices to compare with: ordinary ones, and one of a run whose every word is hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.core.examples import COMMIT

from dobby.core.notices import Notice, make_notice

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGAN, ENDED = "2026-01-02T03:04:05.678Z", "2026-01-02T05:07:05.678Z"
LOG = "/home/jobs/.dobby/projects/shop/jobs/etl/runs/20260102T030405-abcdef0123/output.log"

ROW: dict[str, Any] = {
    "host": "big",
    "project": "shop",
    "label": "etl",
    "run_id": "20260102T030405-abcdef0123",
    "status": "failed",
    "exit_code": 1,
    "cause": {"kind": "exit", "code": 1},
    "command": "python etl.py --all",
    "dir": "jobs",
    "revision": "speed-up",
    "commit": COMMIT,
    "subject": "Read the orders in one query",
    "user": "ann",
    "client": "ann-laptop",
    "created_at": BEGAN,
    "started_at": BEGAN,
    "finished_at": ENDED,
    "duration_s": 7380.0,
    "log_bytes": 4711,
    "note": "",
    "notices": [],
}

TAIL = (
    "1200 of 3000 orders",
    "Traceback (most recent call last):",
    '  File "etl.py", line 42, in <module>',
    "    load(order)",
    "KeyError: 'price'",
)

HOSTILE = (
    "a <!channel> <http://evil|ok> <script>alert(1)</script> & ```*b*``` \x1b[2J\x00\r\nX-Evil: 1\r\n\r\nx"
)


def notice(kind: str, changes: Mapping[str, Any] = {}, **known: Any) -> Notice:
    """The notice of the run as it stood; `changes` are of its row."""
    at = BEGAN if kind in ("started", "stalled") else ENDED
    row = {**ROW, "status": kind, **changes}
    return make_notice(kind, row, at, LOG, **known)


STARTED = notice("started")
FAILED = notice(
    "failed",
    tail=TAIL,
    error_line="KeyError: 'price'",
    last_success={"run_id": "20260101T030405-0123456789", "commit": "abc1234" + "0" * 33, "commits_ago": 3},
    environment_changed=False,
)
_PASSED = {"exit_code": 0, "cause": {"kind": "exit", "code": 0}}
SUCCEEDED = notice("succeeded", _PASSED, tail=("3000 of 3000 orders",), error_line="not told")
STALLED = notice("stalled", silent_s=1800.0, tail=TAIL[:1])
EVIL = notice(
    "failed",
    dict.fromkeys(("command", "dir", "revision", "subject", "user", "client", "note", "host"), HOSTILE)
    | {"cause": {"kind": "internal", "message": HOSTILE}, "exit_code": None},
    tail=tuple(HOSTILE.split("\n")),
    error_line=HOSTILE,
)
