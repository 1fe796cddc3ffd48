"""A host that has no further process for us, and a scope that does not come: said, never a hang."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests import pythons
from tests.core.examples import REQUEST
from tests.wait import until

from dobby.agent import locks, processes, spawn, start, store, wrapper
from dobby.agent.charge import Charge
from dobby.core import layout
from dobby.core.errors import DobbyError
from dobby.core.host_settings import HostSettings
from dobby.core.request import to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITED = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[1])
from dobby.agent import durable, locks, start, store, supervisor, wrapper
from dobby.agent.charge import Charge
from dobby.agent.wake import Wake
from dobby.core import layout
from dobby.core.errors import DobbyError
from dobby.core.host_settings import HostSettings
from dobby.core.request import parse_request

request = parse_request(json.loads(sys.argv[3]))
run = layout.Job(home=sys.argv[2], project=request.project, label=request.label).run(request.run_id)
durable.make_dirs(run.job.runs)
label_fd, run_fd = locks.take(run.job.lock, wait=False), store.accept(run, request)
settings = HostSettings()
charge = Charge(
    run=run, request=request, settings=settings, values={}, run_fd=run_fd, label_fd=label_fd, umask=0o077
)
log_fd = os.open(run.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
command = wrapper.Command(argv=("/bin/true",), cwd="/", env={})
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if sys.argv[4] == "the supervisor":
    try:
        start.start(charge)
    except DobbyError as error:
        print(error.message)
elif sys.argv[4] == "the wrapper":
    print(supervisor._run(charge, Wake(), command, label_fd, log_fd).cause.message)
else:
    (told_r, told_w), (go_r, go_w) = os.pipe(), os.pipe()
    wrapper.let_go(go_w)
    wrapper._carry(run, command, label_fd, log_fd, go_r, told_w)
    assert os.read(told_r, 2) == wrapper.ENDED
    print(store.read_exit(run).cause.message)
"""


@pytest.fixture
def nobodys() -> Iterator[str]:
    """A directory of an account that has limits; root has none."""
    path = tempfile.mkdtemp(prefix="dobby-start-")
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def source() -> Iterator[str]:
    with pythons.sources_for_anyone() as path:
        yield path


@pytest.mark.parametrize("what", ["the supervisor", "the wrapper", "the command"])
def test_no_further_process(nobodys: str, source: str, what: str) -> None:
    account: dict[str, Any] = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
    python = pythons.for_anyone()
    if not python:
        pytest.skip("no python here that another account may run")
    argv = [python, "-I", "-S", "-B", "-c", LIMITED, source, f"{nobodys}/home"]
    argv += [json.dumps(to_dict(REQUEST)), what]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", **account)
    assert done.stderr == ""
    assert "could not" in done.stdout
    assert done.stdout.endswith(": Resource temporarily unavailable\n")
    assert done.stdout.count("\n") == 1


@pytest.fixture
def charge(tmp_path: Path) -> Iterator[Charge]:
    run = layout.Job(home=str(tmp_path), project=REQUEST.project, label=REQUEST.label).run(REQUEST.run_id)
    os.makedirs(run.job.runs)
    run_fd = store.accept(run, REQUEST)
    assert run_fd is not None
    settings = HostSettings()
    yield Charge(
        run=run, request=REQUEST, settings=settings, values={}, run_fd=run_fd, label_fd=None, umask=0o077
    )
    os.close(run_fd)


def test_a_command_that_was_not_let_go_does_not_run(charge: Charge, tmp_path: Path) -> None:
    """Its supervisor died before it was recorded that it starts; its process is there by then."""
    label_fd = locks.take(charge.run.job.lock, wait=True)
    assert label_fd is not None
    log_fd = os.open(charge.run.log, os.O_RDWR | os.O_CREAT)
    command = wrapper.Command(argv=("/bin/sh", "-c", "echo ran >ran"), cwd=str(tmp_path), env={})
    pid, go, told = wrapper.start(charge.run, command, label_fd=label_fd, log_fd=log_fd, close=())
    until(lambda: _children(pid), evidence=lambda: pid)
    os.close(go)
    os.close(label_fd)
    assert spawn.wait(pid) == 0
    assert os.read(told, 1) == b""
    until(lambda: not locks.is_held(charge.run.job.lock), evidence=lambda: pid)
    assert os.listdir(tmp_path) == ["projects"]
    assert not os.path.exists(charge.run.exit)
    assert os.fstat(log_fd).st_size == 0
    for fd in (told, log_fd):
        os.close(fd)


def _children(pid: int) -> list[processes.Process]:
    return [process for process in processes.table() if process.parent == pid]


def test_who_does_not_get_ready_is_ended(charge: Charge) -> None:
    """A user manager that hangs: after some patience the process is killed, and there is another way."""
    began = time.monotonic()

    def hang(ready_fd: int) -> None:
        os.execv("/bin/sleep", ["sleep", "300"])

    assert not start._attempt(charge, hang, 0.2)
    assert time.monotonic() - began < 5


def test_who_says_ready_is_believed(charge: Charge) -> None:
    assert start._attempt(charge, lambda ready: start.tell_ready(ready), None)


def test_what_a_dead_supervisor_said_is_shown(charge: Charge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_carry_here", lambda charge, ready: os.write(2, b"the moon\nis full\n"))
    with pytest.raises(DobbyError, match=r"^the supervisor of run .* did not start: is full$"):
        start.start(charge)


def test_who_ended_the_run_before_it_was_ready_is_no_failure(charge: Charge) -> None:
    """A stop that came in that very moment."""

    def end_at_once(ready_fd: int) -> None:
        with open(charge.run.final, "w"):
            os._exit(0)

    assert start._attempt(charge, end_at_once, None)


def test_a_message_that_nobody_waits_for() -> None:
    ready_r, ready_w = os.pipe()
    os.close(ready_r)
    start.tell_ready(ready_w)
    os.close(ready_w)
