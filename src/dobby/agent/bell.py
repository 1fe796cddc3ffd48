"""SIGTERM as a byte that a poll sees: how a steward is told to go."""

from __future__ import annotations

import os

from dobby.agent import signal

_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGIO, signal.SIGALRM)


class Bell:
    """Installs the signals of this process, a fork of whatever needed a steward. `rung` once it was
    told to go; `fd` is readable then."""

    def __init__(self) -> None:
        self.rung = False
        self.fd, self._write = os.pipe()
        for fd in (self.fd, self._write):
            os.set_blocking(fd, False)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._ring)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def _ring(self, _number: int, _frame: object) -> None:
        self.rung = True
