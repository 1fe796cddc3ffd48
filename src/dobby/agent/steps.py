"""The steps of a preparation: each program's output goes to the run's log as it comes."""

from __future__ import annotations

import os
import time

from dobby.agent import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Optional

TAIL_BYTES = 4000


class StepFailed(Exception):
    """A step of the preparation failed. `code` is None where no program was at fault."""

    def __init__(self, step: str, command: str = "", code: Optional[int] = None, tail: str = "") -> None:
        super().__init__(f"{step}: {command} ({code}): {tail}")
        self.step, self.command, self.code, self.tail = step, command, code, tail


class Steps:
    """Runs programs for a preparation.

    `env` is the whole environment that steps get; `log_fd` an O_APPEND descriptor of the
    run's log; `on_phase(name, duration_s, note)` is told of each finished phase; `umask` is the
    account's, for commands of the user's."""

    def __init__(
        self, env: Mapping[str, str], log_fd: int, on_phase: Callable[..., Any], umask: int = 0o077
    ) -> None:
        self.env = dict(env)
        self.log_fd = log_fd
        self._umask = umask
        self._on_phase = on_phase
        self._phase = ""
        self._began = 0.0

    def begin(self, phase: str) -> None:
        """Name the phase that failures from here on belong to ("sandbox", "environment")."""
        self._phase, self._began = phase, time.monotonic()

    def done(self, note: str = "") -> None:
        """The phase is done: one line in the log, with its time, and one event."""
        took = time.monotonic() - self._began
        self.say(f"{self._phase}: {note or 'done'} ({took:.2f} s)")
        self._on_phase(self._phase, round(took, 3), note)

    def say(self, text: str) -> None:
        """A line of dobby's own in the log, marked as such."""
        os.write(self.log_fd, f"[dobby] {text}\n".encode("utf-8", "surrogateescape"))

    def fail(self, tail: str, command: str = "", code: Optional[int] = None) -> StepFailed:
        """The error of the phase that is under way; the caller raises it."""
        return StepFailed(self._phase, command, code, tail)

    def run(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Optional[Mapping[str, str]] = None,
        shown: str = "",
        *,
        users: bool = False,
    ) -> None:
        """Run a program with its output in the log; `shown` is what a failure calls it, else its argv.
        `users`: it is a command of the user's own. Raises StepFailed."""
        start = os.lseek(self.log_fd, 0, os.SEEK_END)
        pid = spawn.spawn(
            argv,
            cwd=cwd,
            env=env or self.env,
            stdout=self.log_fd,
            stderr=self.log_fd,
            before_exec=(lambda: os.umask(self._umask)) if users else None,
        )
        code = spawn.wait(pid)
        if code:
            raise self.fail(self._said_since(start), shown or _shown(argv), code)

    def capture(
        self,
        argv: Sequence[str],
        cwd: str,
        env: Optional[Mapping[str, str]] = None,
        input: bytes = b"",
    ) -> bytes:
        """stdout of a program; its stderr goes to the log. Raises StepFailed."""
        start = os.lseek(self.log_fd, 0, os.SEEK_END)
        code, out, _ = spawn.capture(argv, cwd=cwd, env=env or self.env, input=input, stderr=self.log_fd)
        if code:
            raise self.fail(self._said_since(start), _shown(argv), code)
        return out

    def _said_since(self, start: int) -> str:
        end = os.lseek(self.log_fd, 0, os.SEEK_END)
        at = max(start, end - TAIL_BYTES)
        said = os.pread(self.log_fd, max(0, end - at), at)
        return said.decode("utf-8", "replace").strip()


def _shown(argv: Sequence[str]) -> str:
    from dobby.core import failure

    return failure.command(argv)
