"""A run in a cgroup of its own: what escapes everything else does not escape that.

The cgroups are real; the `systemd-run` that makes them is a STAND-IN (see test_scope.py)."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import Carried, is_alive, kill
from tests.client.scopes import Scoped, make_scoped
from tests.client.test_stopping import ESCAPEES, INNER
from tests.wait import until

from dobby.agent import cgroups, wrapper
from dobby.core import status as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gitrepo import Repo

MOUNT = next((m for m in cgroups.MOUNTS if os.path.exists(f"{m}/cgroup.subtree_control")), "")
needs_cgroups = pytest.mark.skipif(
    os.getuid() != 0 or not os.access(MOUNT or "/nowhere", os.W_OK), reason="no cgroups may be made here"
)
STAND_IN = """#!/bin/sh
for word; do case $word in --unit=*) unit=${word#--unit=};; esac; done
while [ "$1" != -- ]; do shift; done
shift
mkdir -p "TOP/$unit.scope" && echo $$ > "TOP/$unit.scope/cgroup.procs" && exec "$@"
"""


@pytest.fixture
def top() -> Iterator[Path]:
    """A cgroup for this test's scopes, removed with all below it."""
    path = Path(MOUNT) / f"dobbytest-{secrets.token_hex(4)}"
    path.mkdir()
    yield path

    def removed() -> bool:
        for pid in cgroups.processes(str(path)):  # the steward, which would stay for a while
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for folder, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not path.exists()

    until(removed, 10, evidence=lambda: cgroups.processes(str(path)))


@pytest.fixture
def scoped(
    isolated: Path, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top: Path
) -> Scoped:
    repo.commit("jobs that will not go", {"escapees.py": ESCAPEES, "inner.py": INNER})
    return make_scoped(isolated, repo, tmp_path, monkeypatch, STAND_IN.replace("TOP", str(top)))


def cgroup_of(pid: int) -> str:
    with open(f"/proc/{pid}/cgroup") as file:
        return next(line for line in file if line.startswith("0::")).rstrip().rpartition("/")[2]


@needs_cgroups
def test_who_carries_is_apart_from_the_job(scoped: Scoped, top: Path) -> None:
    run = scoped.launch("echo $$ > $DOBBY_OUTPUTS/pids; sleep 300")
    command = run.pids()[0]
    assert cgroup_of(run.supervisor()) == cgroup_of(run.wrapper()) == "carriers"
    assert cgroup_of(command) == "job"
    assert run.await_event("started")["cgroup"] == f"{top}/dobby-{run.run.run_id}.scope/job"
    assert run.stop()["status"] == "stopped"


@needs_cgroups
@pytest.mark.parametrize("carried", ["carried", "orphaned"])
def test_nothing_outruns_its_cgroup(scoped: Scoped, top: Path, carried: str) -> None:
    run = scoped.launch("python3 escapees.py hydra", grace="0.2s")
    run.pids()
    if carried == "orphaned":
        kill(run.supervisor())
    assert run.stop()["status"] == "stopped"
    scope = f"{top}/dobby-{run.run.run_id}.scope"
    assert not os.path.isdir(scope) or cgroups.processes(scope) == set()
    assert scoped.launch("true").wait()["status"] == "succeeded"


@needs_cgroups
def test_a_nameless_process_is_known_by_its_cgroup(scoped: Scoped) -> None:
    """Supervisor and wrapper killed, environment wiped, all descriptors closed: no other trace."""
    run = scoped.launch("exec python3 escapees.py nameless", grace="0.2s")
    pid = run.pids()[0]
    kill(run.supervisor(), run.wrapper())
    assert run.row()["status"] == "running"
    assert run.stop()["status"] == "stopped"
    assert not is_alive(pid)


@needs_cgroups
def test_another_run_inside_the_cgroup_is_spared(scoped: Scoped) -> None:
    """The job calls dobby where no scope is to be had: that supervisor is born in the job's cgroup."""
    call = f"PATH=/usr/bin:/bin {sys.executable} inner.py"
    outer = scoped.launch(f"{call} && echo $$ > $DOBBY_OUTPUTS/pids && exec sleep 300")
    command = outer.pids()[0]
    inner = Carried(scoped.client, scoped.host, scoped.client.find("inner", host="local"))
    sleeper = inner.pids()[0]
    assert cgroup_of(sleeper) == "job"
    assert outer.stop()["status"] == "stopped"
    assert not is_alive(command)
    assert is_alive(sleeper)
    assert inner.stop()["status"] == "stopped"


# --- out of memory: the kernel's words, from a file that says what memory.events would -----------------


@pytest.mark.parametrize(
    ("text", "killed"),
    [
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n", True),
        ("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n", False),
        ("", False),
    ],
)
def test_the_cgroup_proves_it(tmp_path: Path, text: str, killed: bool) -> None:
    (tmp_path / "memory.events").write_text(text)
    for code in (-9, 137):
        cause = wrapper._proved(wrapper.cause_of(code), ("", str(tmp_path)))
        assert (cause == st.OutOfMemory()) is killed
    for code in (0, 1, -15):
        assert wrapper._proved(wrapper.cause_of(code), (str(tmp_path),)) == wrapper.cause_of(code)


def test_without_a_cgroup_nothing_is_proved(tmp_path: Path) -> None:
    assert not cgroups.was_out_of_memory(str(tmp_path / "gone"))
    assert not cgroups.was_out_of_memory("")
    for fences in ((), (str(tmp_path / "gone"),)):
        killed = wrapper.cause_of(-signal.SIGKILL)
        assert wrapper._proved(killed, fences) == killed
    assert cgroups.processes(str(tmp_path / "gone")) == set()
    assert not cgroups.kill(str(tmp_path / "gone"))
    assert cgroups.divide("no-such-run") == ""
