"""Send a request and get its acknowledgement; the same id again is the same run."""

from __future__ import annotations

import time

from dobby.client.objects import Sender
from dobby.core import protocol
from dobby.core import request as rq
from dobby.core.errors import DobbyError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.client.asking import Asked, Source
    from dobby.client.hosts import Hosts

ATTEMPTS = 3
PAUSE_S = 1.0


def launch(
    hosts: Hosts,
    asked: Asked,
    source: Source,
    say: Callable[[str], None],
    progress: Callable[[str, int, int | None], None],
) -> dict[str, Any]:
    """The agent's answer: `run`, `already`. A session that is cut is repeated with the same run
    id, which starts nothing twice. Raises DobbyError; on Ctrl-C, with what is known of the run."""
    args = {"request": rq.to_dict(asked.request), "values": asked.values}
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return hosts.call(asked.host, "launch", args, _replies(source, say, progress))
            except Unreachable as error:
                if attempt == ATTEMPTS or not _was_connected(error):
                    raise _unknown(asked, error) from None
                say(f"{error.message}; trying again")
                time.sleep(PAUSE_S * attempt)
    except KeyboardInterrupt:
        raise DobbyError(_after_interrupt(hosts, asked)) from None
    raise AssertionError("the last attempt returns or raises")


def _replies(
    source: Source, say: Callable[[str], None], progress: Callable[[str, int, int | None], None]
) -> Callable[[str, bytes], Any]:
    sender = None
    if source.checkout is not None and source.snapshot is not None:
        sender = Sender(source.checkout, source.snapshot, progress)

    def on_reply(kind: str, payload: bytes) -> Any:
        if kind == protocol.SAY:
            say(payload.decode("utf-8", "replace"))
        elif kind == protocol.ASK and sender is not None:
            return sender.answer(payload)
        return None

    return on_reply


def _was_connected(error: Unreachable) -> bool:
    return error.details.get("connected", False) is True


def _unknown(asked: Asked, error: Unreachable) -> Unreachable:
    if not _was_connected(error):
        return error
    return Unreachable(
        f"{error.message}; whether the run was started is not known",
        f"repeat the command with --run-id {asked.request.run_id}: that never starts it twice",
    )


def _after_interrupt(hosts: Hosts, asked: Asked) -> str:
    run_id = asked.request.run_id
    try:
        hosts.call(asked.host, "show", {"project": asked.request.project, "label": asked.request.label, "run": run_id})
    except DobbyError as error:
        if error.kind == "not_found":
            return "given up: nothing was started"
        return f"given up; whether run {run_id} was started is not known ({error.message})"
    return f"given up waiting, but run {run_id} was started: dobby stop {asked.request.label} ends it"
