"""cli on a real terminal (a pty): what a job says cannot act on it, and people see tables."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
CALL = f"""
import sys
sys.path[:0] = [{ROOT!r}, {ROOT + "/src"!r}]
from tests.client.fake_client import FakeClient
from dobby.cli.main import main
sys.exit(main(sys.argv[1:], connect=FakeClient()))
"""
VOICE = """
from dobby.cli.streams import Voice
voice = Voice()
voice.progress("sending", 1, 4)
voice.say("half way")
voice._drawn_at = 0.0
voice.progress("sending", 2, 4)
voice._drawn_at = 0.0
voice.progress("receiving", 7, None)
voice.progress("receiving", 8, 8)
voice.say("done")
"""
PATIENCE_S = 20.0


class Terminal:
    """A program whose stdin, stdout and stderr are a terminal of 120 columns; `seen` is what it
    wrote there."""

    def __init__(self, *argv: str) -> None:
        self._master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        # Of a session of its own, so that /dev/tty is not the terminal of who runs the tests.
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.seen = b""

    def read_until(self, wanted: bytes | None) -> bytes:
        """Until `wanted` was seen, or with None until the program's end."""
        deadline = time.monotonic() + PATIENCE_S
        while wanted is None or wanted not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} was not seen in {self.seen!r}"
            try:
                self.seen += os.read(self._master, 4096)
            except OSError:  # EIO: the other side is closed
                assert wanted is None, f"{wanted!r} was not seen in {self.seen!r}"
                break
        return self.seen

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def end(self) -> int:
        try:
            self.read_until(None)
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            os.close(self._master)


def shown(*words: str) -> bytes:
    terminal = Terminal(sys.executable, "-c", CALL, *words)
    assert terminal.end() == 0
    return terminal.seen


def test_a_log_is_made_harmless_and_raw_is_not() -> None:
    assert shown("logs", "etl") == b"set-up\xef\xbf\xbd\r\njob\xef\xbf\xbd\r\n"
    assert shown("logs", "etl", "--raw") == b"set-up\xff\r\njob\x1b[2J\xfe\r\n"
    assert shown("logs", "etl", "--all") == b"set-up\xef\xbf\xbd\r\njob\xef\xbf\xbd\r\n"


@pytest.mark.parametrize("verb", ["ps", "history", "config"])
def test_tables_are_drawn_for_people(verb: str) -> None:
    seen = shown(verb)
    assert b"\x1b[1m" in seen
    assert b"\xe2\x94\x80\xe2\x94\x80" in seen  # a rule under the header
    assert not re.search(rb"\x1b(?!\[[0-9;]*m)", seen)


def test_ps_tells_ages_and_colours_the_status() -> None:
    seen = shown("ps")
    assert b"\x1b[32msucceeded" in seen
    assert b"d ago" in seen


def test_watch_draws_until_interrupted() -> None:
    terminal = Terminal(sys.executable, "-c", CALL, "ps", "--watch")
    terminal.read_until(b"old did not answer")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert b"succeeded" in terminal.seen
    assert b"Traceback" not in terminal.seen


def test_progress_is_one_line_that_leaves_nothing() -> None:
    terminal = Terminal(sys.executable, "-c", VOICE)
    assert terminal.end() == 0
    erase = b"\r\x1b[K"
    assert terminal.seen == b"".join(
        [
            b"sending: 25 %",
            erase,
            b"half way\r\n",
            b"sending: 50 %",
            erase,
            b"receiving: 7",
            erase,
            b"done\r\n",
        ]
    )
    piped = subprocess.run([sys.executable, "-c", VOICE], capture_output=True, check=True)
    assert (piped.stdout, piped.stderr) == (b"", b"half way\ndone\n")
