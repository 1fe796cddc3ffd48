"""A preparation, or a job's git, that was killed in the middle of its work."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, in_child, make_repo, put, send, wait_until_nobody_uses

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, make_repo(tmp_path / "laptop", {"a.txt": "a\n", "dir/b.txt": "b\n"}))


def test_a_killed_creation_is_not_taken_for_a_sandbox(lab: Lab) -> None:
    lab.run()
    os.rename(lab.sandbox, f"{lab.sandbox}.new")
    os.unlink(f"{lab.sandbox}.new/a.txt")
    assert lab.run() == "new"
    lab.assert_exact()
    assert not os.path.exists(f"{lab.sandbox}.new")


def test_locks_that_a_killed_git_left(lab: Lab) -> None:
    lab.run()
    locks = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock")
    put(lab.sandbox, {f".git/{name}": "" for name in locks})
    commit(lab.laptop, {"a.txt": "new"})
    lab.run()
    lab.assert_exact()
    commit(lab.sandbox, {"a.txt": "a lock that is left would refuse this"})


@pytest.mark.parametrize("after_ms", [0, 1, 2, 4, 6, 8, 10, 14, 18, 25])
def test_a_prepare_killed_at_any_moment_is_made_good(lab: Lab, after_ms: int) -> None:
    lab.run()
    put(lab.sandbox, {"a.txt": "job's", "untracked/file": "job's"})
    new = commit(lab.laptop, {"a.txt": "new\n", **{f"more/{n}": str(n) for n in range(50)}})
    send(lab.laptop, lab.cache, [new])
    request = lab.request(new)
    pid = in_child(lambda: lab.prepare(request))
    poll = select.poll()
    poll.poll(after_ms)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until_nobody_uses(lab.sandbox)
    lab.run(new)
    lab.assert_exact()
    kept = [path for run in ("run1", "run2") for path in lab.left(run)]
    assert "a.txt" in kept
    assert "untracked/file" in kept
