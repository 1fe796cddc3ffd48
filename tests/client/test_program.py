"""A session's program: started like one of `subprocess`, and told of as soon as it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
from tests.descriptors import no_more_than

from dobby.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def started(script: str, *, apart: bool = False) -> Iterator[Program]:
    program = Program(["sh", "-c", script], 2, os.environ, apart)
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def test_it_has_pipes_and_an_exit_code() -> None:
    with started("read -r line; echo got $line; exit 3") as program:
        assert program.poll() is None
        program.stdin.write(b"words\n")
        program.stdin.flush()
        assert program.stdout.read() == b"got words\n"
        assert program.ends(10)
        assert (program.poll(), program.wait()) == (3, 3)
        program.kill()  # a pid that may be another's by now is left alone
    with started("kill -9 $$") as program:
        assert program.wait() == -9


@pytest.mark.parametrize("refused", [False, True])
def test_what_it_says_has_room_where_the_system_gives_it(
    monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    if refused:
        monkeypatch.setattr("dobby.program._PIPE_BYTES", (1 << 31) + 1)
    with started("head -c 200000 /dev/zero") as program:
        if not refused and sys.platform == "linux":
            assert program.ends(10)  # though nobody has read
        assert len(program.stdout.read()) == 200000


def test_its_end_is_awaited_as_long_as_said_and_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for without in (False, True):
        if without:  # as on systems that have no such thing
            monkeypatch.delattr(os, "pidfd_open")
        with started("exec sleep 600") as program:
            began = time.monotonic()
            assert not program.ends(0.2)
            assert time.monotonic() - began >= 0.2
            program.kill()
            assert program.ends(60)
            assert program.poll() == -9


@pytest.mark.parametrize("has_proc", [True, False])
def test_it_inherits_nothing_else_of_ours(monkeypatch: pytest.MonkeyPatch, has_proc: bool) -> None:
    first, second = os.pipe()
    os.set_inheritable(second, True)
    if not has_proc:
        monkeypatch.setattr(os, "listdir", lambda path: os.open(f"{path}/not/mounted", os.O_RDONLY))
    try:
        with started("ls /dev/fd/") as program:
            seen = program.stdout.read().split()
        plain = subprocess.run(
            ["sh", "-c", "ls /dev/fd/"], stdout=subprocess.PIPE, check=True
        ).stdout.split()
    finally:
        os.close(first)
        os.close(second)
    assert str(second).encode() not in seen
    assert seen == plain


def test_what_python_ignores_is_not_ignored_there() -> None:
    with started("exec grep SigIgn /proc/self/status") as program:
        ignored = int(program.stdout.read().split()[1], 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


def test_apart_is_a_session_of_its_own() -> None:
    for apart in (False, True):
        with started("exec sleep 600", apart=apart) as program:
            assert (os.getsid(program.pid) == program.pid) is apart


def test_a_program_that_is_not_there_leaves_nothing_open() -> None:
    before = os.listdir("/dev/fd")
    with pytest.raises(FileNotFoundError):
        Program(["no-such-program-of-dobby"], 2, os.environ)
    assert os.listdir("/dev/fd") == before


def test_where_too_much_is_open_already_no_more_is_left_open() -> None:
    """A caller of Python that comes close to its limit comes no closer by trying again."""
    before = os.listdir("/dev/fd")
    for room in range(8):
        with no_more_than(room), contextlib.suppress(OSError), started("true"):
            continue
        assert os.listdir("/dev/fd") == before


def test_a_caller_may_have_closed_its_own_descriptors() -> None:
    script = """
        import os
        from dobby.program import Program

        errors = os.memfd_create("e")
        for fd in (0, 1, 2):
            os.close(fd)
        program = Program(["sh", "-c", "cat; echo oops >&2"], errors, os.environ)
        program.stdin.write(b"through")
        program.stdin.close()
        good = program.stdout.read() == b"through" and program.wait() == 0
        good = good and os.pread(errors, 9, 0) == b"oops\\n"
        program.stdout.close()
        os._exit(0 if good else 1)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == 0
