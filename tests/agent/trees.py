"""Real process trees for agent tests: started outside any run, found and ended by what is tested."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.wait import until

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID = "r-1"


class Tree:
    """A stand-in for a wrapper: a python process that runs `code`, which writes pids, one a line,
    into the file `sys.argv[1]`."""

    def __init__(self, tmp_path: Path, code: str, env: dict[str, str] | None = None) -> None:
        self._file = tmp_path / "pids"
        self._file.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(self._file)],
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self.pid = self._process.pid

    def pids(self, count: int) -> list[int]:
        """The pids that were noted, once there are `count`."""

        def read() -> list[int]:
            found = [int(line) for line in self._file.read_text().split()]
            return found if len(found) >= count else []

        return until(read)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """SIGKILL for all that is left."""
        for pid in (self.pid, *map(int, self._file.read_text().split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


# A subreaper with a child, a grandchild in a session of its own, and an orphan of the child's.
FAMILY = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
def note():
    with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
def sleep():
    note()
    while True: signal.pause()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        sleep()
    if os.fork() == 0:
        if os.fork() == 0: sleep()
        os._exit(0)
    os.wait()
    sleep()
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try: os.wait()
    except ChildProcessError: break
"""
