"""Programs as the agent starts them: what they inherit, how they end, and pipes that cannot stall."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from tests import leftovers
from tests.wait import until

from dobby.agent import spawn, steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def say(argv: Sequence[str], **options: object) -> tuple[int, bytes, bytes]:
    return spawn.capture(argv, cwd="/", env=ENV, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", -9)])
def test_the_exit_code(script: str, code: int) -> None:
    assert say(["sh", "-c", script]) == (code, b"", b"")


def test_a_program_is_started_without_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork of the agent costs three times the CPU. Our own working directory stays what it is."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    here = os.getcwd()
    assert spawn.capture(["pwd"], cwd=str(tmp_path), env=ENV) == (0, f"{tmp_path}\n".encode(), b"")
    assert os.getcwd() == here


def test_a_relative_folder_of_path_is_of_the_programs_directory(tmp_path: Path) -> None:
    """execvpe(3) has it so; what was found from another directory would be another program."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/odd").symlink_to("/bin/echo")
    env = {"PATH": f"bin:{ENV['PATH']}"}
    assert spawn.capture(["odd", "here"], cwd=str(tmp_path), env=env) == (0, b"here\n", b"")


def test_both_streams_and_the_environment() -> None:
    code, out, err = say(["sh", "-c", 'echo "$LC_ALL $HOME"; echo no >&2'])
    assert (code, out, err) == (0, b"C.UTF-8 \n", b"no\n")


def test_a_megabyte_through_both_ends() -> None:
    data = os.urandom(1 << 20)
    assert say(["cat"], input=data) == (0, data, b"")


def test_input_that_nobody_reads() -> None:
    assert say(["true"], input=bytes(1 << 20)) == (0, b"", b"")


def test_one_that_does_not_answer_is_ended_with_all_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; echo a word; sleep 600"
    with pytest.raises(TimeoutError):
        say(["sh", "-c", script], most_s=1.0)
    child = int((tmp_path / "child").read_text())
    until(lambda: not leftovers.cmdline(child), 10)


@pytest.mark.parametrize(("argv", "cwd"), [(["no-such-program"], "/"), (["true"], "/no/such/dir")])
def test_what_cannot_start_says_why(argv: list[str], cwd: str) -> None:
    code, out, err = spawn.capture(argv, cwd=cwd, env=ENV)
    assert (code, out) == (spawn.NOT_STARTED, b"")
    assert b"No such file or directory" in err
    assert err.startswith(argv[0].encode())


@pytest.mark.parametrize(("argv", "env"), [(["echo", "a\0b"], ENV), (["true"], {**ENV, "A=B": "c"})])
def test_what_no_program_can_be_given_is_said_as_well(argv: list[str], env: dict[str, str]) -> None:
    code, out, err = spawn.capture(argv, cwd="/", env=env)
    assert (code, out) == (spawn.NOT_STARTED, b"")
    assert err.startswith(argv[0].encode())


def test_only_what_is_kept_is_inherited(tmp_path: Path) -> None:
    kept, other = (os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in ("kept", "other"))
    out_r, out_w = os.pipe()
    pid = spawn.spawn(["ls", "/proc/self/fd"], cwd="/", env=ENV, stdout=out_w, stderr=2, keep=(kept,))
    os.close(out_w)
    assert spawn.wait(pid) == 0
    with open(out_r, "rb") as file:
        seen = {int(word) for word in file.read().split()}
    assert kept in seen
    assert other not in seen
    assert not os.get_inheritable(kept)
    os.close(kept)
    os.close(other)


def test_standard_descriptors_may_change_places(tmp_path: Path) -> None:
    """stdout to our stderr and the reverse: neither overwrites the other on the way."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from dobby.agent import spawn\n"
        "argv = ['sh', '-c', 'echo out; echo err >&2']\n"
        "spawn.wait(spawn.spawn(argv, cwd='/', env={'PATH': '/bin:/usr/bin'}, stdout=2, stderr=1))\n"
    )
    source = os.path.join(os.path.dirname(spawn.__file__), "../..")
    assert say([sys.executable, "-I", "-c", script, source]) == (0, b"err\n", b"out\n")


def test_signals_are_as_a_program_expects_them() -> None:
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        _, out, _ = say(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
    of_the_c_library = 0b11 << 31  # signals 32 and 33: inherited, and in nobody's power
    masks = [int(line.split()[1], 16) & ~of_the_c_library for line in out.splitlines()]
    assert masks == [0, 0]


def test_a_group_of_its_own() -> None:
    pid = spawn.spawn(["sleep", "300"], cwd="/", env=ENV, stdout=1, stderr=2, group=True)
    until(lambda: os.getpgid(pid) == pid)
    os.kill(pid, signal.SIGKILL)
    assert spawn.wait(pid) == -signal.SIGKILL


def test_no_descriptor_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")
    say(["true"], input=b"x")
    say(["cat"], input=b"x" * 100_000)
    assert os.listdir("/proc/self/fd") == before


def test_a_failed_step_shows_what_it_said(tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    told: list[tuple[object, ...]] = []
    run = steps.Steps(ENV, log, lambda *words: told.append(words))
    run.begin("setup")
    run.run(["echo", "fine"], "/")
    with pytest.raises(steps.StepFailed) as failed:
        run.run(["sh", "-c", "echo broken >&2; exit 3"], "/")
    assert (failed.value.step, failed.value.code, failed.value.tail) == ("setup", 3, "broken")
    assert failed.value.command == "echo broken >&2; exit 3"
    assert run.capture(["cat"], "/", input=b"asked") == b"asked"
    run.done("two things")
    assert [(name, note) for name, _, note in told] == [("setup", "two things")]
    text = (tmp_path / "log").read_text()
    assert text.startswith("fine\nbroken\n[dobby] setup: two things (")
    os.close(log)
