"""A host that says whatever a test has it say."""

from __future__ import annotations

import os

from dobby.core.errors import Unreachable
from dobby.program import Program


class Liar:
    """A transport to a host that says `text`, with MARK where the session's marker stands. It then
    `stays`, or is gone."""

    patience_s = 5.0

    def __init__(self, text: bytes, host: str = "liar", stays: bool = True) -> None:
        self._text, self.host, self._stays = text, host, stays

    def start(self, errors: int) -> Program:
        script = 'read -r x y v a m; sed "s/MARK/$m/g" "$0"'
        if self._stays:
            script += "; exec cat >/dev/null"
        with open(f"{os.environ['HOME']}/{self.host}", "wb") as file:
            file.write(self._text)
        return Program(["sh", "-c", script, file.name], errors, os.environ)

    def explain(self, said: str, code: int, here: bool) -> Unreachable:
        return Unreachable(f"host {self.host} has gone")

    def abandon(self, program: Program) -> None:
        program.kill()


class Agent:
    digest = "0" * 64
