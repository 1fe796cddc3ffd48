"""Send a request and get its acknowledgement; the same id again is the same run."""

from __future__ import annotations

import time

from dobby.client.objects import Sender, nothing_to_send
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
    sent = False  # whether the request may have arrived
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return hosts.call(asked.host, "launch", args, _replies(source, say, progress))
            except Unreachable as error:
                sent = sent or bool(error.details.get("maybe"))
                if attempt == ATTEMPTS or not sent:
                    raise _unknown(asked, error, sent) from None
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
        elif kind == protocol.ASK:
            return sender.answer(payload) if sender else nothing_to_send(payload)
        return None

    return on_reply


def _unknown(asked: Asked, error: Unreachable, sent: bool) -> Unreachable:
    if not sent:
        return error
    return Unreachable(
        f"{error.message}; whether the run was started is not known",
        f"repeat the command with --run-id {asked.request.run_id}: that never starts it twice",
    )


def _after_interrupt(hosts: Hosts, asked: Asked) -> str:
    """The host starts nothing for a caller that has gone (`Wire.check_caller`), so what it does
    not know by now it will not run."""
    run_id = asked.request.run_id
    try:
        where = {"project": asked.request.project, "label": asked.request.label, "run": run_id}
        hosts.call(asked.host, "show", where)
    except DobbyError as error:
        if error.kind == "not_found":
            return "given up: nothing was started"
        return f"given up; whether run {run_id} was started is not known ({error.message})"
    return f"given up waiting, but run {run_id} was started: dobby stop {asked.request.label} ends it"
