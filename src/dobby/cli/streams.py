"""stdout carries what was asked for; stderr what dobby says about its work."""

from __future__ import annotations

import os
import sys
import time

from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TextIO

    from dobby.views.health import Report
    from dobby.views.table import Table

_REDRAW_S = 0.1
_ERASE = "\r\x1b[K"


class OutputClosed(Exception):
    """Whoever read our stdout has gone."""


def is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


# --- stdout ----------------------------------------------------------------------------------


def write_out(data: bytes) -> None:
    """Bytes to stdout, at once. Raises OutputClosed, or DobbyError where they cannot be kept."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _drop_stdout()
        raise OutputClosed from None
    except OSError as error:
        _drop_stdout()
        raise DobbyError(f"stdout cannot be written: {error.strerror}") from None


def _drop_stdout() -> None:
    """The interpreter flushes stdout once more at its end, and would complain aloud."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_out(text: str) -> None:
    """A line of text to stdout."""
    write_out(f"{text}\n".encode("utf-8", "backslashreplace"))


def print_json(value: Mapping[str, Any]) -> None:
    from dobby.views import json

    print_out(json.dump(value))


def print_table(table: Table | Report) -> None:
    """By rich on a terminal, plain to a pipe or file."""
    if not is_terminal(sys.stdout):
        return write_out(table.plain().encode("utf-8", "backslashreplace"))
    from rich.console import Console

    return Console().print(table.rich())


# --- stderr ----------------------------------------------------------------------------------


class Voice:
    """What dobby says while it works: lines, and on a terminal one line of progress."""

    def __init__(self) -> None:
        self._terminal = is_terminal(sys.stderr)
        self._drawn = False
        self._drawn_at = 0.0

    def say(self, text: str) -> None:
        from dobby.views.log import clean_text

        self._erase()
        _write_err(clean_text(text) + "\n")

    def progress(self, name: str, done: int, total: int | None) -> None:
        """`done` of `total` (None: not known) of what `name` says; drawn over itself."""
        if not self._terminal:
            return
        now = time.monotonic()
        if done == total:
            self._erase()
        elif now - self._drawn_at >= _REDRAW_S:
            self._drawn_at = now
            self._erase()
            _write_err(f"{name}: {f'{100 * done // total} %' if total else done}")
            self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            _write_err(_ERASE)
            self._drawn = False


def _write_err(text: str) -> None:
    """To stderr as far as there is one: what dobby says must not decide what it does."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def show_error(error: DobbyError, as_json: bool) -> None:
    if as_json:
        from dobby.views import json

        _write_err(json.dump(json.of_error(error)) + "\n")
        return
    from dobby.views.log import clean_text

    hint = f"\n  {error.hint}" if error.hint else ""
    _write_err(_ERASE if is_terminal(sys.stderr) else "")  # a line of progress may stand there
    _write_err(clean_text(f"dobby: {error.message}{hint}") + "\n")


# --- a job's bytes -----------------------------------------------------------------------------


class LogSink:
    """Where a log goes: exact to a pipe or file, made harmless to a terminal unless `raw`."""

    def __init__(self, *, to_stderr: bool = False, raw: bool = False) -> None:
        self._write: Callable[[bytes], None] = _write_err_bytes if to_stderr else write_out
        self._sanitizer = None
        if not raw and is_terminal(sys.stderr if to_stderr else sys.stdout):
            from dobby.views.log import Sanitizer

            self._sanitizer = Sanitizer()

    def write(self, data: bytes) -> None:
        self._write(self._sanitizer.feed(data) if self._sanitizer else data)

    def finish(self) -> None:
        if self._sanitizer:
            self._write(self._sanitizer.finish())


def _write_err_bytes(data: bytes) -> None:
    try:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()
    except (OSError, ValueError, AttributeError):  # as in _write_err
        return
