"""Whose a process is, and how all of a run are ended: with /proc and pidfds, and without."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests import pythons
from tests.agent.trees import FAMILY, RUN_ID, Tree
from tests.wait import until

from dobby.agent import clock, locks, members, processes
from dobby.agent import signal as our_signal
from dobby.core import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> layout.Run:
    run = layout.Job(home=str(tmp_path / "home"), project="shop", label="nightly").run(RUN_ID)
    os.makedirs(run.root)
    return run


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Callable[..., Tree]]:
    trees: list[Tree] = []

    def make(code: str = FAMILY, env: dict[str, str] | None = None) -> Tree:
        trees.append(Tree(tmp_path, code, env))
        return trees[-1]

    yield make
    for one in trees:
        one.end()


@pytest.fixture(params=["linux", "plain"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This Linux, and the same machine looked at as macOS would be: ps, no pidfds."""
    if request.param == "plain":
        look_as_on_a_mac(monkeypatch)
    return str(request.param)


def look_as_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROC", "/nonexistent")
    monkeypatch.delattr(os, "pidfd_open", raising=False)


def stand_in(pid: int) -> processes.Process:
    found = processes.look(pid)
    assert found is not None
    return found


def test_all_descendants_are_found(run: layout.Run, tree: Callable[..., Tree], system: str) -> None:
    family = tree()
    pids = family.pids(3)
    scope = members.scope_of(run, processes.identify(family.pid))
    assert sorted(p.pid for p in members.find(scope)) == sorted(pids)


def test_all_are_ended_and_the_root_proves_it(
    run: layout.Run, tree: Callable[..., Tree], system: str
) -> None:
    family = tree()
    pids = family.pids(3)
    assert members.end(members.scope_of(run, processes.identify(family.pid)), 2.0) == []
    until(family.ended)
    assert [pid for pid in pids if processes.look(pid)] == []


def test_a_stopped_tree_is_ended(run: layout.Run, tree: Callable[..., Tree], system: str) -> None:
    family = tree()
    for pid in (family.pid, *family.pids(3)):
        os.kill(pid, signal.SIGSTOP)
    assert members.end(members.scope_of(run, processes.identify(family.pid)), 0.2) == []
    until(family.ended)


def test_a_process_is_told_by_its_start_too(tree: Callable[..., Tree], system: str) -> None:
    family = tree()
    who = processes.identify(family.pid)
    assert processes.is_alive(who)
    for stranger in (
        who.replace(started="1s" if system == "plain" else "1"),
        who.replace(boot="another"),
    ):
        assert not processes.is_alive(stranger)
        assert not processes.send(stranger, signal.SIGKILL)
    assert not processes.send(who.replace(machine="elsewhere"), signal.SIGKILL)
    assert not family.ended()
    assert processes.send(who, signal.SIGKILL)
    until(family.ended)
    assert not processes.is_alive(who)
    assert not processes.send(who, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        processes.identify(family.pid)


def test_the_table_has_ourselves(system: str) -> None:
    """`started` is the same word wherever it is read; ps does not count itself."""
    me = stand_in(os.getpid())
    again = next(p for p in processes.table() if p.pid == me.pid)
    assert processes.same_start(me.started, again.started)
    assert (me.parent, me.group) == (os.getppid(), os.getpgrp())
    assert [p for p in processes.table() if p.name == "ps" and p.parent == os.getpid()] == []


def test_the_environment_tells_an_orphan(run: layout.Run, tree: Callable[..., Tree]) -> None:
    """Its parents are dead, and it is a child of nobody's that we know."""
    orphan = tree("import signal; signal.pause()", {"DOBBY_RUN_ID": RUN_ID})
    scope = members.scope_of(run, None)
    until(lambda: [p.pid for p in members.find(scope)] == [orphan.pid])
    assert members.find(members.scope_of(run.job.run("r-10"), None)) == []
    assert members.end(scope, 0.0) == []
    until(orphan.ended)


HOLDER = """
import fcntl, os, signal, sys
fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
os.set_inheritable(fd, False)
child = os.fork()
with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
signal.pause()
"""
ADOPT = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.Popen([sys.executable, "-I", "-S", "-c", {code!r}, sys.argv[1], {path!r}])
subprocess.Popen(["sleep", "300"])
os.wait()
"""


@pytest.mark.parametrize("whose", ["another run's", "another label's", "the steward's"])
def test_who_holds_anothers_lock_is_not_ours(
    run: layout.Run, tree: Callable[..., Tree], whose: str
) -> None:
    """A job that calls dobby becomes the parent of that run's supervisor, and of the steward."""
    other = layout.Job(home=run.home, project="shop", label="other")
    path = {
        "another run's": other.run("r-2").lock,
        "another label's": other.lock,
        "the steward's": f"{run.home}/steward.lock",
    }[whose]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    family = tree(ADOPT.format(code=HOLDER, path=path))
    theirs = family.pids(2)
    scope = members.scope_of(run, processes.identify(family.pid))
    until(lambda: [p.name for p in members.find(scope)] == ["sleep"])
    members.end(scope, 0.1)
    assert all(processes.look(pid) for pid in theirs)


def test_who_holds_our_own_lock_is_ours(run: layout.Run, tree: Callable[..., Tree]) -> None:
    family = tree(ADOPT.format(code=HOLDER, path=run.job.lock))
    family.pids(2)
    scope = members.scope_of(run, processes.identify(family.pid))
    until(lambda: len(members.find(scope)) == 3)
    assert locks.is_held(run.job.lock)
    assert members.end(scope, 0.1) == []
    assert not locks.is_held(run.job.lock)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start another account's process")
def test_a_survivor_is_named() -> None:
    """What this account may not kill: a root's process below an unprivileged one, as sudo makes it."""
    code = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    os.execv('/bin/sleep', ['sleep', '300'])\n"
        "os.setresuid(65534, 65534, 0)\n"
        "os.wait()\n"
    )
    python = pythons.for_anyone()
    if not python:
        pytest.skip("no python here that another account may run")
    above = subprocess.Popen([python, "-I", "-S", "-c", code])
    try:
        until(lambda: [p for p in processes.table() if p.parent == above.pid and p.name == "sleep"])
        child = next(p for p in processes.table() if p.parent == above.pid)
        script = (
            "import json, sys\n"
            "sys.path.insert(0, sys.argv[1])\n"
            "from dobby.agent import members, processes\n"
            "from dobby.core import layout\n"
            "members.KILL_ROUNDS_S = 0.2\n"
            "run = layout.Job(home='/nowhere', project='p', label='l').run('r-9')\n"
            f"left = members.end(members.scope_of(run, processes.identify({above.pid})), 0.1)\n"
            "print(members.named(left))\n"
        )
        with pythons.sources_for_anyone() as source:
            argv = [python, "-I", "-S", "-B", "-c", script, source]
            done = subprocess.run(argv, user=65534, cwd="/", stdout=subprocess.PIPE, text=True, check=True)
        assert done.stdout == f"sleep (pid {child.pid})\n"
    finally:
        above.kill()
        above.wait()
        os.kill(child.pid, signal.SIGKILL)


def test_a_group_with_a_stranger_in_it_is_not_killed_as_one(
    run: layout.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that shares its process group with somebody else: it alone is signalled, here by SIGKILL:
    the first signal does nothing."""
    monkeypatch.setattr(our_signal, "SIGINT", signal.SIGWINCH)
    ours = {**os.environ, "DOBBY_RUN_ID": RUN_ID}
    member = subprocess.Popen(["sleep", "300"], env=ours, process_group=0)
    bystander = subprocess.Popen(["sleep", "300"], process_group=member.pid)
    try:
        assert members.end(members.scope_of(run, None), 0.1) == []
        assert member.wait() == -signal.SIGKILL
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_without_an_id_of_the_boot_pids_alone_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """No /proc, and no sysctl that would know either: what lives is alive all the same."""
    monkeypatch.setattr(clock, "_first_line", lambda path: "")
    monkeypatch.setattr(clock, "boot_id", clock._ask_boot_id)
    assert clock.boot_id() == "unknown"
    assert processes.is_alive(processes.identify(os.getpid()))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("7", "7", True), ("7", "8", False), ("7s", "8s", True), ("7s", "9s", False), ("7", "7s", False)],
)
def test_start_times(one: str, other: str, same: bool) -> None:
    assert processes.same_start(one, other) is same


def test_start_times_do_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that is a host may wake up in another time zone."""
    look_as_on_a_mac(monkeypatch)
    seen = []
    for zone in ("UTC", "Pacific/Auckland"):
        monkeypatch.setenv("TZ", zone)
        seen.append(stand_in(os.getpid()).started)
    assert processes.same_start(*seen)
