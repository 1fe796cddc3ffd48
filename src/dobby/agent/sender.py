"""The process that speaks to one channel's service.

A child of the steward, so that what hangs, needs memory or fails there never holds up the steward
or another channel. It is given one delivery at a time and answers what became of it: when the steward
dies, at most the one under way is told twice.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time

from dobby.agent import durable, processes, signal, store, telling
from dobby.core import delivered, json, layout
from dobby.core.errors import DobbyError, UsageError
from dobby.core.notices import Delivery, Later, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Optional

    from dobby.core.host_settings import Channel

LATER = "later"
MOST_S = 150.0  # for one delivery; a channel's own timeouts are shorter


class Sender:
    """The steward's end. `deadline` (monotonic) is there while a delivery is under way; `variables`
    are the host's own: certificates, proxies."""

    def __init__(self, home: str, channel: Channel, variables: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if self._pid == 0:
            try:
                os.environ.update(variables, DOBBY_HOME=home)
                _live(home, channel, theirs)
            finally:
                os._exit(0)
        theirs.close()
        self._socket = ours
        self._said = b""
        self.channel = channel
        self.deadline: Optional[float] = None

    @property
    def fd(self) -> int:
        return self._socket.fileno()

    def give(self, job: dict[str, Any]) -> None:
        """Have a delivery made; `fd` becomes readable when there is something to `take`."""
        self.deadline = time.monotonic() + MOST_S
        try:
            self._socket.sendall(json.dumps(job).encode() + b"\n")
        except BrokenPipeError:  # it is dead: its end is read as such
            return

    def take(self) -> Optional[dict[str, Any]]:
        """What became of the delivery: `state` (sent, given_up or LATER), `answer`, `memory`,
        `retry_after_s`; None while that is not known."""
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self._said += data
        if data and not self._said.endswith(b"\n"):
            return None
        said, self._said, self.deadline = self._said, b"", None
        return json.loads(said) if data else _failed("the process that was to send it died")

    def end(self) -> None:
        """Whatever it is doing: what is under way may be told again."""
        self._socket.close()
        os.kill(self._pid, signal.SIGKILL)  # not waited for yet, so the pid is its own
        os.waitpid(self._pid, 0)


def _failed(why: str, state: str = LATER, retry_after_s: Optional[float] = None) -> dict[str, Any]:
    return {"state": state, "answer": why, "retry_after_s": retry_after_s}


# --- the child -------------------------------------------------------------------------------


def _live(home: str, channel: Channel, wire: socket.socket) -> None:
    """Serve until the steward closes its end, also by dying. Nothing else of the steward's is kept
    open: its lock above all."""
    processes.name_self("dobby-send")
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != wire.fileno():
            try:
                os.close(int(name))
            except OSError:  # the one with which the directory was read
                continue
    said = b""
    while data := wire.recv(1 << 16):
        said += data
        if said.endswith(b"\n"):
            job, said = json.loads(said), b""
            wire.sendall(durable.dump_json(_deliver(home, channel, job)))


def _deliver(home: str, channel: Channel, job: dict[str, Any]) -> dict[str, Any]:
    """What became of it. What is unforeseen is told by its kind alone: its text may hold secrets."""
    memory = dict(job["memory"])
    try:
        answer = _send(home, channel, job, memory)
    except Refused as refused:
        return _failed(refused.message, delivered.GIVEN_UP)
    except UsageError as error:
        return _failed(error.message, delivered.GIVEN_UP)
    except Later as later:
        return _failed(later.message, retry_after_s=later.retry_after_s)
    except DobbyError as error:
        return _failed(error.message)
    except Exception as error:
        frame = sys.exc_info()[2]
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = (
            f" ({os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno})" if frame else ""
        )
        return _failed(f"it could not be sent: {type(error).__name__}{where}")
    return {"state": delivered.SENT, "answer": answer, "memory": memory}


def _send(home: str, channel: Channel, job: dict[str, Any], memory: dict[str, Any]) -> str:
    kind = load(channel.kind)
    run = layout.Run(home=home, project=job["project"], label=job["label"], run_id=job["run_id"])
    stored = store.load(run)
    if stored is None:
        raise Refused("the run was removed")
    delivery = Delivery(**job["delivery"])
    kind.check(channel.settings)
    notice = telling.make(stored, delivery.kind, job["stalled"])
    answer: str = kind.send(channel.settings, notice, delivery, memory)
    return answer


def load(kind: str) -> Any:
    """The module of a kind of channel. Raises UsageError, listing the known ones."""
    from dobby.agent import channels

    names = sorted(
        name[:-3]
        for name in os.listdir(os.path.dirname(channels.__file__))
        if name.endswith(".py") and not name.startswith("_")
    )
    if kind not in names:
        raise UsageError(f"there is no channel of kind {kind!r}", f"one of {', '.join(names)}")
    return importlib.import_module(f"{channels.__name__}.{kind}")
