"""ssh with faults: sessions that end after so many bytes, or lose their last reply.

As DOBBY_SSH it runs the real ssh and stands between it and dobby. Each session takes the next
line of its plan; without one it passes everything on. Masters are ssh's own business.

    up N       N bytes of what dobby sends arrive, then the connection is gone
    count      all passes; `sent` then holds how many bytes dobby sent
    lose KIND  what dobby sends arrives; the first reply of that kind, and all after it, do not
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sshd import Sshd

LOST = 255


class FaultySsh:
    """The program, in a directory of its own; `calls` holds the argv of each ssh that it ran."""

    def __init__(self, sshd: Sshd, directory: str) -> None:
        self.directory = directory
        os.makedirs(directory)
        self.program = f"{directory}/ssh"
        words = [sys.executable, "-I", os.path.abspath(__file__), sshd.ssh, directory]
        with open(self.program, "w") as file:
            file.write(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        os.chmod(self.program, 0o755)
        self.plan()

    def plan(self, *lines: str) -> None:
        with open(f"{self.directory}/plan", "w") as file:
            file.writelines(f"{line}\n" for line in lines)

    @property
    def unused(self) -> list[str]:
        with open(f"{self.directory}/plan") as file:
            return file.read().splitlines()

    @property
    def sent(self) -> int:
        with open(f"{self.directory}/sent") as file:
            return int(file.read())

    @property
    def calls(self) -> list[str]:
        try:
            with open(f"{self.directory}/calls") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []


def _next_step(directory: str) -> list[str]:
    with open(f"{directory}/plan", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines()
        file.seek(0)
        file.truncate()
        file.writelines(f"{line}\n" for line in lines[1:])
    return lines[0].split() if lines else ["pass"]


def main() -> None:
    real, directory, *argv = sys.argv[1:]
    with open(f"{directory}/calls", "a") as file:
        file.write(shlex.join(argv).replace("\n", " ") + "\n")
    step = ["pass"] if "-N" in argv else _next_step(directory)
    if step == ["pass"]:
        os.execv(real, [real, *argv])
    child = subprocess.Popen([real, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    most = int(step[1]) if step[0] == "up" else None
    count = f"{directory}/sent" if step[0] == "count" else ""
    threading.Thread(target=_up, args=(child, child.stdin, most, count), daemon=True).start()
    _down(child.stdout.fileno(), f" {step[1]} ".encode() if step[0] == "lose" else None)
    child.kill()
    child.wait()
    os._exit(LOST)


def _up(child: subprocess.Popen[bytes], sink: IO[bytes], most: int | None, count: str) -> None:
    sent = 0
    while most is None or sent < most:
        data = os.read(0, 65536 if most is None else min(most - sent, 65536))
        if not data:
            sink.close()
            return
        sent += len(data)
        if count:
            with open(count, "w") as file:
                file.write(str(sent))
        sink.write(data)
        sink.flush()
    child.kill()


def _down(source: int, lost: bytes | None) -> None:
    """The agent writes a reply at once, so its head is within one piece."""
    while data := os.read(source, 65536):
        if lost and lost in data:
            return
        os.write(1, data)


if __name__ == "__main__":
    main()
