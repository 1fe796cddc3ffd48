"""Every write, fsync, rename, link and unlink of the state store: the last that happens, or failing.

This is the short version; `python -m campaign` has all of it.
"""

from __future__ import annotations

import ast
import errno
import os
import re
from pathlib import Path

import pytest
from tests.crash import acts, explore
from tests.crash.disk import ROOT, Disk, Op

from dobby.agent import durable

AGENT = Path(__file__).parents[2] / "src" / "dobby" / "agent"
SMALL = ("settled", "settings", "pins", "contents")


@pytest.mark.parametrize("play", ["life", *SMALL])
def test_a_crash_anywhere_leaves_what_was_promised(play: str) -> None:
    found = explore.crash_everywhere(play)
    assert not found.wrong
    assert found.disks > found.points


@pytest.mark.parametrize("play", SMALL)
@pytest.mark.parametrize("full", [False, True], ids=["once", "for good"])
def test_a_fault_anywhere_is_never_called_success(play: str, full: bool) -> None:
    errors = (errno.ENOSPC,) if full else (errno.EIO, errno.ENOSPC)
    found = explore.fail_everywhere(play, errors, (full,))
    assert not found.wrong
    assert found.points


def test_a_run_that_meets_a_fault_anywhere_becomes_final_once() -> None:
    assert not explore.fail_everywhere("life", (errno.EIO,)).wrong


@pytest.mark.parametrize("play", ["settings", "pins"])
def test_a_missing_fsync_would_be_found(play: str) -> None:
    assert explore.unmissed(play) == []


def test_a_missing_fsync_of_the_final_state_would_be_found() -> None:
    """One is too many, that for the excerpt's name: the final state's follows, of the same directory."""
    assert [what.rpartition("/")[2] for what in explore.unmissed("settled")] == [acts.THIS]


def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code itself, with a file's fsync taken away."""

    def hasty(path: str, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        durable.write_all(fd, data)
        os.close(fd)

    monkeypatch.setattr(durable, "write_new", hasty)
    found = explore.crash_everywhere("settings").wrong
    assert any("max_running is None" in wrong for wrong in found)


# --- the disk itself ------------------------------------------------------------------------------


def test_what_is_not_synced_may_be_lost_kept_or_torn() -> None:
    disk = Disk()
    disk.apply(Op("create", 1, adds=((ROOT, "file", 1),)))
    disk.apply(Op("write", 1, data=b"four"))
    found = [tree.get("file", (0, None))[1] for tree in disk.after_power_cut()]
    assert set(found) == {None, b"", b"four", b"fo", b"\0\0\0\0"}
    disk.apply(Op("fsync", 1))
    assert {tree.get("file", (0, None))[1] for tree in disk.after_power_cut()} == {None, b"four"}
    disk.apply(Op("fsync", ROOT))
    assert [tree["file"][1] for tree in disk.after_power_cut()] == [b"four"] * 4


# --- who writes -----------------------------------------------------------------------------------

# They are what the explorer hears; everybody else writes state by durable.py's functions.
WRITERS = {"durable.py", "store.py", "outbox.py", "locks.py", "refs.py"}
STATE = re.compile(
    r"\.(request|events|exit|final|stop|notices|excerpt|holder|identity|marker|container|needs)\b"
    r"|\bsettings\(|\.jsonl?\b"
)
MAKES = {
    "os.rename",
    "os.replace",
    "os.link",
    "os.truncate",
    "shutil.move",
    "shutil.copy",
    "shutil.copyfile",
}


def writes_state(source: str) -> bool:
    """Whether a file that holds state is opened to be written, or put in place, by hand."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called, words = ast.unparse(node.func), [ast.unparse(word) for word in node.args]
        makes = called in MAKES or (called == "os.open" and "O_CREAT" in ast.unparse(node))
        makes = makes or (
            called == "open" and words[1:2] != [] and words[1].strip("'\"")[:1] in ("w", "a", "x")
        )
        if makes and any(map(STATE.search, words)):
            return True
    return False


def test_state_is_written_in_one_place() -> None:
    found = {str(f.relative_to(AGENT)) for f in AGENT.rglob("*.py") if writes_state(f.read_text())}
    assert found - WRITERS == set(), "write state by the functions of agent/durable.py"
    assert writes_state("import os\nos.open(run.final, os.O_WRONLY | os.O_CREAT)")
    assert writes_state("open(layout.settings(home), 'w')")
    assert not writes_state("import os\nos.open(run.log, os.O_WRONLY | os.O_CREAT)")
