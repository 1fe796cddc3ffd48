"""The spare sandbox and those who remove it: what is just being made is waited for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, make_repo
from tests.wait import until

from dobby.agent import locks, spare
from dobby.core import layout

if TYPE_CHECKING:
    from pathlib import Path


def is_waited_for(path: str) -> bool:
    """Whether a process sleeps in flock on the file: proc_locks(5)."""
    inode = f":{os.stat(path).st_ino} "
    with open("/proc/locks") as file:
        return any("->" in line and inode in line for line in file)


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="this system does not list its locks")
def test_one_that_is_just_being_made_goes_too(tmp_path: Path) -> None:
    project = layout.Project(home=str(tmp_path), project="p")
    os.makedirs(project.root)
    fd = locks.take(project.spare_lock, wait=False)
    maker = os.fork()
    if maker == 0:
        try:
            until(lambda: is_waited_for(project.spare_lock), 5)
        finally:
            os.mkdir(project.spare(0o077))
            os._exit(0)
    assert fd is not None
    os.close(fd)  # the child's copy holds the lock
    spare.drop(project)
    os.waitpid(maker, 0)
    assert os.listdir(project.root) == [os.path.basename(project.spare_lock)]


def test_git_believes_the_times_of_a_spares_files(tmp_path: Path) -> None:
    """Else it reads them all, and writes its index anew so that it need not another time."""
    lab = Lab(tmp_path, make_repo(tmp_path / "laptop", {"a": "a", "b": "b"}))
    lab.run()
    mask = os.umask(0o077)
    try:
        os.rename(lab.sandbox, lab.job.of_project.spare(0o077))
        newest = max(os.stat(path).st_mtime_ns for path in lab.base.glob("dobby/**/spare.077/*"))
        index = next(lab.base.glob("dobby/**/spare.077/.git/index"))
        os.utime(index, ns=(newest, newest))  # as new as they are
        inode = os.stat(index).st_ino
        # git compares seconds, and the kernel's times are those of its last tick
        until(lambda: (time.time_ns() - 10**8) // 10**9 > newest // 10**9)
        lab.forget()
        assert lab.run() == "new"
    finally:
        os.umask(mask)
    assert os.stat(lab.sandbox / ".git/index").st_ino == inode
    lab.assert_exact()


def test_one_that_is_just_being_made_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = layout.Project(home=str(tmp_path), project="p")
    os.makedirs(project.root)
    top = os.fsencode(tmp_path / "sandbox")
    fd = locks.take(project.spare_lock, wait=False)
    assert fd is not None
    held = fd
    monkeypatch.setattr(spare, "PATIENCE_S", 0.0)
    assert not spare.take(project, top)  # but not waited for without end

    def made(_: float) -> None:
        os.mkdir(spare.at(project))
        os.close(held)

    monkeypatch.setattr(spare, "PATIENCE_S", 10.0)
    monkeypatch.setattr(time, "sleep", made)
    assert spare.take(project, top)
    assert not spare.take(project, top + b"2")
