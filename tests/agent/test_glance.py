"""What was seen of a sandbox before its launch had arrived counts only where nothing happened since."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, make_repo, put, wait_until_nobody_uses
from tests.counted import Counted
from tests.wait import until

from dobby.agent import durable, gitdir, glance, locks, lodged
from dobby.agent.wire import Wire
from dobby.core import protocol
from dobby.core.errors import DobbyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES: dict[str, str | bytes | None] = {"a.txt": "a\n", "dir/b.txt": "b\n"}
FIRST = "run1"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A sandbox that `FIRST` has left, exact."""
    lab = Lab(tmp_path, make_repo(tmp_path / "laptop", FILES))
    assert lab.run() == "new"
    durable.replace(lab.job.holder, f"{FIRST}\n".encode())
    os.close(os.open(lab.job.lock, os.O_CREAT, 0o600))
    return lab


def begin(lab: Lab, **other: str) -> glance.Glance | None:
    fields = {"project": "project", "label": "job", "object_format": "sha1"}
    origin = "https://git.example.org/project.git"
    return glance.begin(lab.job.home, protocol.dump_ahead(**{**fields, "origin": origin, **other}))


def look(lab: Lab, **other: str) -> bytes:
    begun = begin(lab, **other)
    return b"" if begun is None else begun.read()


def test_git_need_not_look_again(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, counted = git(lab.laptop, "rev-parse", "HEAD"), Counted(tmp_path, monkeypatch)
    seen = look(lab)
    assert sum("status" in call for call in counted.since()) == 1
    assert lab.run(head, seen=seen) == "unchanged"
    assert counted.since() == []


def test_what_the_last_run_left_is_seen(lab: Lab) -> None:
    put(lab.sandbox, {"a.txt": "changed\n", "new.txt": "new\n"})
    assert lab.run(seen=look(lab)) == "moved 2 files to left/"
    assert lab.left() == ["a.txt", "new.txt"]
    lab.assert_exact()


def test_another_commit_is_wanted(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look(lab)
    commit(lab.laptop, {"a.txt": "other\n", "dir/b.txt": None, "c.txt": "c\n"})
    counted = Counted(tmp_path, monkeypatch)
    lab.run(seen=seen)
    assert not any("status" in call for call in counted.since())
    lab.assert_exact()


def had_by_another_run(lab: Lab) -> None:
    durable.replace(lab.job.holder, b"another\n")


def committed_to(lab: Lab) -> None:
    commit(lab.sandbox, {"a.txt": "by a job\n"})


def made_anew(lab: Lab) -> None:
    os.rename(lab.sandbox, f"{lab.sandbox}.old")
    git(lab.base, "clone", "-q", f"{lab.sandbox}.old", str(lab.sandbox))


@pytest.mark.parametrize("happens", [had_by_another_run, committed_to, made_anew])
def test_it_does_not_count(lab: Lab, happens: Callable[[Lab], None]) -> None:
    seen = look(lab)
    assert glance.answers(seen, lab.job, FIRST) is not None
    assert glance.answers(seen, lab.job, "another") is None
    happens(lab)
    holder = (durable.read(lab.job.holder) or b"").decode().strip()
    assert glance.answers(seen, lab.job, holder) is None
    assert glance.answers(seen[:-1], lab.job, FIRST) is None


def test_it_does_not_count_for_long(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in `dobby shell` edits on while the laptop sends, and has no label."""
    seen = look(lab)
    put(lab.sandbox, {"a.txt": "by somebody in a shell\n"})
    monkeypatch.setattr(glance, "FRESH_S", 0.0)
    assert lab.run(seen=seen) == "moved 1 file to left/"
    lab.assert_exact()


def test_a_branch_that_was_moved_without_its_files(lab: Lab) -> None:
    first = git(lab.laptop, "rev-parse", "HEAD")
    commit(lab.laptop, {"a.txt": "other\n"})
    lab.run(branch="main")
    durable.replace(lab.job.holder, b"run2\n")
    seen = look(lab)
    assert glance.answers(seen, lab.job, "run2") is not None
    git(lab.sandbox, "update-ref", "refs/heads/main", first)
    lab.run(first, branch="main", seen=seen)
    lab.assert_exact(first)


def test_a_sandbox_that_was_closed_since_is_looked_at_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    seen = look(lab)
    monkeypatch.setattr(glance, "_state", closed)
    assert lab.run(seen=seen) == "unchanged"


def test_a_git_that_waits_for_ever_is_ended_and_the_label_free(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants the label would wait for it as well."""
    os.unlink(lab.sandbox / ".git/index")  # so that git reads the attributes
    os.mkfifo(lab.sandbox / "dir/.gitattributes")
    os.utime(lab.sandbox / "dir/b.txt", (1, 1))
    git(lab.sandbox, "read-tree", "HEAD")
    monkeypatch.setattr(glance, "LONGEST_S", 1)
    assert look(lab) == b""
    fd = locks.take(lab.job.lock, wait=False)
    assert fd is not None
    locks.release(fd)
    wait_until_nobody_uses(lab.sandbox)


def test_a_call_that_is_cut_in_its_midst_keeps_nobody_from_the_label(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that sleeps now, or has lost its network, is read for hours."""
    monkeypatch.setattr(glance, "LONGEST_S", 0.5)
    mine, theirs = os.pipe()
    os.write(theirs, b"1000\n{")
    begun = begin(lab)
    was_free: list[bool] = []

    def can_be_had() -> bool:
        with open(lab.job.lock, "rb") as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            was_free.append(True)
        return bool(was_free)

    def want() -> None:
        with contextlib.suppress(AssertionError):
            until(can_be_had)
        os.close(theirs)  # then the laptop gives up

    assert begun is not None
    with open(mine, "rb") as source:
        wire = Wire(source, "marker")
        begun.attend(wire)
        other = threading.Thread(target=want)
        other.start()
        with pytest.raises(DobbyError, match="cut"):
            wire.read_frame()
        other.join()
    assert was_free
    assert begun.read() == b""


def settings_changed(lab: Lab) -> None:
    git(lab.sandbox, "config", "core.fsmonitor", "touch /tmp/ran")


def a_hook(lab: Lab) -> None:
    put(lab.sandbox, {".git/hooks/post-index-change": "#!/bin/sh\n"})


def a_lock_of_gits(lab: Lab) -> None:
    put(lab.sandbox, {".git/index.lock": ""})


def damaged(lab: Lab) -> None:
    put(lab.sandbox, {".git/index": "no index"})


def head_of_nothing(lab: Lab) -> None:
    put(lab.sandbox, {".git/HEAD": "ref: refs/heads/none\n"})


def things_lodged(lab: Lab) -> None:
    durable.make_dirs(f"{lab.job.environment}/node")
    lodged.record(f"{lab.job.environment}/node", {b"node_modules"})


@pytest.mark.parametrize(
    "is_so", [settings_changed, a_hook, a_lock_of_gits, damaged, head_of_nothing, things_lodged]
)
def test_nothing_is_said_of_a_sandbox_that_must_be_put_right_first(
    lab: Lab, is_so: Callable[[Lab], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_so(lab)
    counted = Counted(tmp_path, monkeypatch)
    assert look(lab) == b""
    assert counted.since() == [] or is_so is damaged


def test_nothing_is_said_while_a_run_has_the_label(lab: Lab) -> None:
    fd = locks.take(lab.job.lock, wait=False)
    assert fd is not None
    assert look(lab) == b""
    locks.release(fd)
    assert look(lab)


@pytest.mark.parametrize("other", [{"label": "none"}, {"project": "none"}, {"origin": "elsewhere"}])
def test_nothing_is_said_of_what_is_not_there(lab: Lab, other: dict[str, str]) -> None:
    assert look(lab, **other) == b""
    assert glance.begin(lab.job.home, b"") is None


@pytest.fixture
def spare(lab: Lab) -> Path:
    """One that waits, for a job that has no sandbox."""
    shutil.rmtree(lab.sandbox)
    os.unlink(lab.job.holder)
    lab.forget()
    return lab.make_spare()


def test_a_new_label_is_told_of_the_spare(
    lab: Lab, spare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, counted = git(lab.laptop, "rev-parse", "HEAD"), Counted(tmp_path, monkeypatch)
    seen = look(lab)
    asked = counted.since()
    assert sum("status" in call for call in asked) == 1
    assert not any(" -o " in call for call in asked)  # which takes longer than all else together
    assert lab.run(head, seen=seen) == "new"
    assert not spare.exists()
    assert counted.since() == []
    lab.assert_exact()


@pytest.mark.parametrize(
    "happens",
    [
        lambda spare: put(spare, {"dir/new.txt": "not theirs\n"}),
        lambda spare: put(spare, {"new/file.txt": "not theirs\n"}),
        lambda spare: shutil.rmtree(spare / "dir"),
    ],
)
def test_what_somebody_has_done_in_the_spare_is_found(
    lab: Lab, spare: Path, happens: Callable[[Path], object]
) -> None:
    tick, finished_ns = lab.base / "tick", gitdir.finished_ns(os.fsencode(spare / ".git"))

    def has_gone_on() -> bool:
        """The filesystem's clock, which is a coarse one."""
        tick.write_bytes(b"")
        return tick.stat().st_mtime_ns > finished_ns

    until(has_gone_on)
    assert look(lab) != b""
    happens(spare)
    assert look(lab) == b""
    assert lab.run() == "new"
    lab.assert_exact()


def test_what_somebody_has_changed_in_the_spare_is_seen(lab: Lab, spare: Path) -> None:
    put(spare, {"a.txt": "changed\n"})
    seen = look(lab)
    assert b"a.txt" in seen
    assert lab.run(seen=seen) == "new"
    lab.assert_exact()


def test_the_spare_that_another_label_took_tells_nothing(lab: Lab, spare: Path) -> None:
    """Nor is its job disturbed: nothing of git's is locked in it by who only looks."""
    inode = os.stat(spare / ".git/index").st_ino
    put(spare, {"a.txt": "changed\n"})
    seen = look(lab)
    assert b"a.txt" in seen
    assert os.stat(spare / ".git/index").st_ino == inode
    os.rename(spare, lab.base / "other")
    git(lab.base, "clone", "-q", f"{lab.base}/other", str(lab.sandbox))
    assert glance.answers(seen, lab.job, "") is None
    os.rename(lab.sandbox, lab.base / "mine")
    os.rename(lab.base / "other", lab.sandbox)
    assert glance.answers(seen, lab.job, "") is not None


@pytest.mark.parametrize("label", ["none", "../job", ""])
def test_a_job_without_a_sandbox_costs_no_process(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    assert look(lab, label=label) == b""
