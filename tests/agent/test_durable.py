"""State files: old or new, never torn, created once; on a full disk too where space was set aside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.agent.sandboxes import in_child

from dobby.agent import durable, spawn

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.json")


def test_a_file_is_created_once(path: str) -> None:
    assert durable.create(path, b"first")
    assert not durable.create(path, b"second")
    assert durable.read(path) == b"first"
    assert os.listdir(os.path.dirname(path)) == ["state.json"]


def test_a_file_is_replaced_whole(path: str) -> None:
    durable.replace(path, b"first, and long")
    durable.replace(path, b"second")
    assert durable.read(path) == b"second"
    assert os.listdir(os.path.dirname(path)) == ["state.json"]


def test_what_a_killed_writer_left_is_in_nobodys_way(path: str) -> None:
    """Pids are used again: a temporary file of our very pid is not taken for a finished one."""
    open(f"{path}.{os.getpid()}.tmp", "w").close()
    assert durable.create(path, b"whole")
    durable.replace(path, b"again")
    assert durable.read(path) == b"again"


def test_reserved_space_is_used_once(path: str) -> None:
    durable.reserve(path)
    assert durable.create(path, b"first")
    assert durable.read(path) == b"first"
    assert os.listdir(os.path.dirname(path)) == ["state.json"]
    assert not durable.create(path, b"second")
    assert durable.read(path) == b"first"


def test_a_crash_before_the_spare_name_was_removed(path: str) -> None:
    """link(2) was done, unlink(2) not: the spare is the file itself, and must not be filled again."""
    durable.reserve(path)
    os.link(f"{path}.spare", path)
    before = durable.read(path)
    assert not durable.create(path, b"other")
    assert durable.read(path) == before


def test_of_many_that_want_the_reserved_space_one_gets_it(path: str) -> None:
    """Two may stop a run at one instant, on a full disk."""

    def create(number: int) -> None:
        assert durable.create(path, b"%d\n" % number * number)

    for _ in range(20):
        durable.reserve(path)
        pids = [in_child(partial(create, number)) for number in range(1, 5)]
        assert sorted(spawn.wait(pid) for pid in pids) == [0, 1, 1, 1]
        data = durable.read(path) or b""
        assert data == data[:2] * int(data[:1])
        assert os.listdir(os.path.dirname(path)) == ["state.json"]
        os.unlink(path)


def test_space_that_is_not_needed_is_given_back(path: str) -> None:
    durable.reserve(path)
    durable.release(path)
    durable.release(path)
    assert os.listdir(os.path.dirname(path)) == []


def test_a_cut_line_spoils_no_other(path: str) -> None:
    durable.append(path, b"one\n")
    with open(path, "ab") as file:
        file.write(b'{"cut": ')
    durable.append(path, b"two\n")
    assert durable.read(path) == b"one\ntwo\n"


def test_zeros_that_a_crash_left_are_cut_off(path: str) -> None:
    durable.append(path, b"one\n")
    with open(path, "ab") as file:
        file.write(bytes(100))
    durable.append(path, b"two\n")
    assert durable.read(path) == b"one\ntwo\n"


def test_nothing_is_read_where_nothing_is(path: str) -> None:
    assert durable.read(path) is None
    open(path, "w").close()
    assert durable.read(f"{path}/below") is None
    assert durable.read(path) == b""


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    for mask in (0, 0o077, 0o777):
        before = os.umask(mask)
        try:
            durable.make_dirs(f"{tmp_path}/{mask}/deep/er")
            durable.write_new(f"{tmp_path}/{mask}/deep/er/file", b"x")
        finally:
            os.umask(before)
        for name in ("", "/deep", "/deep/er"):
            assert os.stat(f"{tmp_path}/{mask}{name}").st_mode & 0o777 == 0o700
        assert os.stat(f"{tmp_path}/{mask}/deep/er/file").st_mode & 0o077 == 0


def test_a_directory_whose_maker_was_killed_is_made_durable_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its name, and all below it, could go with a power cut though the next had said "done"."""
    synced: list[str] = []

    def killed(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable, "sync_dir", killed)
    for path in ("a", "a/b"):  # the second finds the first one's, and is killed too
        with pytest.raises(KeyboardInterrupt):
            durable.make_dirs(f"{tmp_path}/{path}")
    monkeypatch.setattr(durable, "sync_dir", synced.append)
    durable.make_dirs(f"{tmp_path}/a/b/c")
    assert synced == [str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/a/b"]
    assert {os.stat(f"{tmp_path}/{path}").st_mode & 0o7777 for path in ("a", "a/b", "a/b/c")} == {0o700}
    synced.clear()
    durable.make_dirs(f"{tmp_path}/a/b/c")
    assert synced == []


def test_a_directory_that_all_may_write_to_stays_as_it_is(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o1777)
    durable.make_dirs(f"{tmp_path}/a")
    assert os.stat(tmp_path).st_mode & 0o7777 == 0o1777


# --- faults, injected by strace -------------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from dobby.agent import durable, spawn
kind, path = sys.argv[2:]
if kind == "create":
    durable.create(path, b"new" * 100)
elif kind == "spare":
    durable.create(path, b"new" * 100)
elif kind == "replace":
    durable.replace(path, b"new" * 100)
else:
    durable.append(path, b"new" * 100 + b"\\n")
print("done")
"""


def inject(kind: str, path: str, fault: str) -> str:
    """Run SCRIPT with one fault; its stdout. The calls meant are not made by python itself before."""
    argv = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={fault}"]
    argv += [sys.executable, "-I", "-S", "-B", "-c", SCRIPT, str(SOURCE), kind, path]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


NEW, OLD = b"new" * 100, b"old\n"
CASES = [
    ("replace", "fsync:error=EIO:when=1"),
    ("replace", "fsync:error=EIO:when=2"),
    ("replace", "rename:error=EIO"),
    ("replace", "rename:signal=SIGKILL"),
    ("create", "link:error=ENOSPC"),
    ("create", "link:signal=SIGKILL"),
    ("create", "fsync:error=EIO:when=1"),
    ("create", "fsync:error=EIO:when=2"),
    ("create", "unlink:signal=SIGKILL"),
    ("spare", "write:error=EIO:when=1"),
    ("spare", "write:signal=SIGKILL"),
    ("spare", "ftruncate:error=EIO"),
    ("spare", "fsync:error=EIO:when=1"),
    ("spare", "link:error=EIO"),
    ("spare", "unlink:signal=SIGKILL"),
    ("append", "write:error=ENOSPC:when=1"),
    ("append", "write:signal=SIGKILL"),
    ("append", "fsync:error=EIO"),
]


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace here")
@pytest.mark.parametrize(("kind", "fault"), CASES, ids=[f"{k} {f}" for k, f in CASES])
def test_a_fault_leaves_old_or_new_and_is_never_called_success(path: str, kind: str, fault: str) -> None:
    old = kind in ("replace", "append")
    if old:
        durable.write_new(path, OLD)
    if kind == "spare":
        durable.reserve(path)
    said = inject(kind, path, fault)
    assert said != "done"
    found = durable.read(path)
    whole = {None, NEW} if not old else {OLD, NEW} if kind == "replace" else {OLD, OLD + NEW + b"\n"}
    assert found in whole
    if old:  # and the next writer gets through
        (durable.replace if kind == "replace" else durable.append)(path, b"next\n")
        assert (durable.read(path) or b"").endswith(b"next\n")
    elif found is None:
        assert durable.create(path, b"next")
        assert durable.read(path) == b"next"
    else:
        assert not durable.create(path, b"next")
        assert durable.read(path) == NEW


FULL = """
import errno, os, sys
sys.path.insert(0, sys.argv[1])
from dobby.agent import durable, spawn
path = sys.argv[2] + "/final.json"
durable.reserve(path)
with open(sys.argv[2] + "/filler", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC
try:
    number = 0
    while True:
        os.close(os.open(sys.argv[2] + f"/inode-{number}", os.O_CREAT, 0o600))
        number += 1
except OSError as error:
    assert error.errno == errno.ENOSPC
try:
    durable.create(sys.argv[2] + "/other", b"x")
except OSError as error:
    assert error.errno == errno.ENOSPC
else:
    raise AssertionError("the disk is not full")
assert durable.create(path, b"x" * 8000)
assert durable.read(path) == b"x" * 8000
print("kept")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")
def test_reserved_space_outlasts_a_full_disk(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=256k,nr_inodes=64 none "$1" && exec "$2" -I -S -c "$3" "$4" "$1"'
    argv = ["unshare", "-m", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, FULL, str(SOURCE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("kept", "")


def test_space_may_be_released_while_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop is asked for in the instant in which the run is concluded."""
    path, link = str(tmp_path / "stop.json"), os.link
    durable.reserve(path)

    def late(source: str, target: str) -> None:
        durable.release(path)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert durable.create(path, b"asked")
    assert os.listdir(tmp_path) == ["stop.json"]
    assert not durable.create(path, b"again")
    assert durable.read(path) == b"asked"
