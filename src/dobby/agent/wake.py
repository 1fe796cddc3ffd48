"""How a supervisor is woken: SIGTERM, after which it looks for stop.json."""

from __future__ import annotations

import os

from dobby.agent import signal


class Stop(BaseException):
    """A stop was asked for while the run was waiting or preparing."""


class Wake:
    """Installs the signals of this process.

    While `interrupts` is true the signal raises `Stop` wherever the supervisor waits; once it
    is false the signal is only a byte at `fd`, which `poll` sees."""

    def __init__(self) -> None:
        self.interrupts = True
        self.fd, self._write = os.pipe()
        for fd in (self.fd, self._write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._woken)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)

    def _woken(self, _number: int, _frame: object) -> None:
        if self.interrupts:
            self.interrupts = False
            raise Stop

    def drain(self) -> None:
        """Take the bytes that have arrived."""
        try:
            while os.read(self.fd, 512):
                pass
        except BlockingIOError:
            return
