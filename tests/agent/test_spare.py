"""The spare sandbox and those who remove it: what is just being made is waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
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
