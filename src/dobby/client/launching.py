"""Send a request and get its acknowledgement; the same id again is the same run."""

from __future__ import annotations

import time

from dobby import snapshot as snap
from dobby.client.contents import Contents
from dobby.client.following import Reader, follow
from dobby.client.objects import Sender, nothing_to_send
from dobby.core import json, protocol
from dobby.core import request as rq
from dobby.core.errors import DobbyError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.client.asking import Asked, Source
    from dobby.client.hosts import Hosts
    from dobby.snapshot import Ahead

    Say = Callable[[str], None]
    Progress = Callable[[str, int, int | None], None]
    Ack = Callable[[dict[str, Any]], None]

ATTEMPTS = 3
PAUSE_S = 1.0


class Launch:
    """One launch: the request, how to answer for its commits, and what has come back.

    `acknowledged(answer)` is called once, with the agent's `run` (a row) and `already`."""

    def __init__(
        self, hosts: Hosts, asked: Asked, source: Source, say: Say, progress: Progress, acknowledged: Ack
    ) -> None:
        self._hosts, self._asked, self._say = hosts, asked, say
        self._acknowledged = acknowledged
        self._answer: dict[str, Any] | None = None
        self._reader: Reader | None = None
        self._sender = None
        self._ahead: Ahead | None = None
        if source.checkout is not None and source.snapshot is not None:
            tags = [id for _, id in asked.request.tags]
            contents = Contents(source.checkout, source.snapshot, asked.contents, progress, say)
            self._sender = Sender(source.checkout, source.snapshot, tags, contents, progress)
            where = f"{asked.host} {asked.request.project}"
            self._ahead = snap.Ahead(source.checkout, source.snapshot, where)

    def go(self) -> None:
        """Return once the run is acknowledged. Raises DobbyError; on Ctrl-C, with what is known of
        the run."""
        result = self._call(follow=False)
        if not self._answer:
            self._take(result)

    def follow(self, reader: Reader) -> dict[str, Any]:
        """Stay until the run is final, in the launch's own session while that lasts: its row."""
        self._reader = reader
        result = self._call(follow=True)
        if result is not None and result["run"]["finished_at"]:
            row: dict[str, Any] = result["run"]
            return row
        return follow(self._hosts, self._asked.host, {"follow": True}, reader, self._say)

    def _call(self, follow: bool) -> Any:
        """The agent's result; None when the session was lost after the acknowledgement."""
        try:
            return self._attempts(follow)
        except KeyboardInterrupt:
            if self._answer:
                raise
            raise DobbyError(_after_interrupt(self._hosts, self._asked)) from None

    def _attempts(self, follow: bool) -> Any:
        """As `_call`. A session that is cut before the acknowledgement is repeated with the same
        run id, which starts nothing twice."""
        request = rq.to_dict(self._asked.request)
        args = {"request": request, "values": self._asked.values, "follow": follow}
        pack = self._ahead.pack() if self._ahead else b""
        if self._ahead and pack:
            args["upon"] = self._ahead.upon
        sent = False  # whether the request may have arrived
        for attempt in range(1, ATTEMPTS + 1):
            try:
                agent = self._asked.request.forward_agent
                return self._hosts.launch(self._asked.host, args, self._on_reply, agent, pack)
            except Unreachable as error:
                if self._answer:
                    self._say(f"the connection to {self._asked.host} was lost; connecting again")
                    return None
                sent = sent or bool(error.details.get("maybe"))
                if attempt == ATTEMPTS or not sent:
                    raise _unknown(self._asked, error, sent) from None
                self._say(f"{error.message}; trying again")
                time.sleep(PAUSE_S * attempt)
        raise AssertionError("the last attempt returns or raises")

    def _on_reply(self, kind: str, payload: bytes) -> Any:
        if kind == protocol.ACK:
            self._take(json.loads(payload))
        elif kind == protocol.ASK:
            return self._sender.answer(payload) if self._sender else nothing_to_send(payload)
        elif self._answer and self._reader:
            self._reader.on_reply(kind, payload)
        elif kind == protocol.SAY:
            self._say(payload.decode("utf-8", "replace"))
        return None

    def _take(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        if self._ahead:
            self._ahead.note()
        answer["run"]["host"] = self._asked.host
        self._acknowledged(answer)
        if self._asked.request.forward_agent and not answer["run"]["started_at"]:
            self._say("keeping the connection until the set-up is done: it may use your ssh agent")


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
