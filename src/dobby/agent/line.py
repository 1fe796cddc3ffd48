"""Where a run stands until it may prepare: behind those of its label, then, on a host with
`max_running`, behind all that came before it."""

from __future__ import annotations

import os

from dobby.agent import conclude, locks, processes, slots, store, turn
from dobby.core import events as ev

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from dobby.agent.charge import Charge


class Line:
    """`ready` is called whenever an event is durable that says where the run stands."""

    def __init__(self, charge: Charge, ready: Callable[[], Any]) -> None:
        self._charge, self._ready = charge, ready
        self._me = processes.identify(os.getpid()).to_dict()
        self._label_fd = charge.label_fd
        self._place: Optional[slots.Place] = None

    def stand(self) -> int:
        """Return once the run has its label and its slot: the descriptor of the label's lock."""
        run = self._charge.run
        self._place = place = slots.Place(run.home, self._charge.settings.max_running)
        if self._label_fd is None:
            self._tell(ev.QUEUED, behind=conclude.read_holder(run.job))
            self._label_fd = turn.wait(run)
        place.take(lambda most: self._tell(ev.QUEUED, number=place.number, max_running=most))
        return self._label_fd

    def begin(self) -> None:
        self._tell(ev.PREPARING)
        if self._place is not None:
            self._place.pass_on()

    def let_go_label(self, shared: bool) -> None:
        """`shared`: only our own hold. Else for all: whoever launched us may not have closed its
        copy yet, and must not keep the next run waiting."""
        if self._label_fd is not None:
            os.close(self._label_fd) if shared else locks.release(self._label_fd)

    def leave(self) -> None:
        """The run is final: its slot is the next one's."""
        if self._place is not None:
            self._place.leave()

    def _tell(self, kind: str, **fields: Any) -> None:
        store.append(self._charge.run, kind, supervisor=self._me, **fields)
        self._ready()
