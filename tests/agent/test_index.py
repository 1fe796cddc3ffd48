"""The index of what is over changes nothing but the time it takes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import planted
from tests.descriptors import no_more_than

from dobby.agent import outbox, rows
from dobby.agent.main import Call
from dobby.agent.verbs import list as verb
from dobby.agent.wire import Wire
from dobby.core import layout

SOURCE = Path(__file__).parents[2] / "src"


def listed(home: str, **args: Any) -> dict[str, Any]:
    call = Call(home=home, args=args, attached=b"", wire=Wire(io.BytesIO(), "m"), umask=0o022)
    found: dict[str, Any] = json.loads(verb.run(call))
    found["runs"] = [dict(zip(found["fields"], row, strict=True)) for row in found["runs"]]
    return found


def afresh(home: str, **args: Any) -> dict[str, Any]:
    """As it is told where there is no index; the one that there is stays."""
    kept = f"{home}/kept"
    if os.path.isdir(f"{home}/index"):
        os.rename(f"{home}/index", kept)
    try:
        return listed(home, **args)
    finally:
        shutil.rmtree(f"{home}/index", ignore_errors=True)
        if os.path.isdir(kept):
            os.rename(kept, f"{home}/index")


@pytest.fixture
def home(tmp_path: Path) -> str:
    for label in ("etl", "report", "train"):
        for number in (1, 2):
            planted.final_run(str(tmp_path), label, number)
    return str(tmp_path)


def index_file(home: str) -> str:
    (name,) = os.listdir(f"{home}/index")
    return f"{home}/index/{name}"


def latest(home: str, label: str = "etl") -> layout.Run:
    runs = f"{home}/projects/shop/jobs/{label}/runs"
    return layout.Run(home=home, project="shop", label=label, run_id=max(os.listdir(runs)))


def test_what_is_over_is_read_once(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = listed(home)
    assert [(r["label"], r["seq"]) for r in first["runs"]] == [("etl", 2), ("report", 2), ("train", 2)]
    monkeypatch.setattr(rows, "of_job", lambda *_: pytest.fail("a job was read again"))
    assert listed(home) == first
    assert listed(home, labels=[["", "report"]])["runs"] == first["runs"][1:2]


def test_where_all_is_known_nothing_that_reads_runs_is_imported(home: str) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from dobby.agent import main; "
        "from dobby.agent.verbs import list as verb; "
        "verb.run(main.Call(home=sys.argv[2], args={}, attached=b'', wire=None, umask=18)); "
        "print('dobby.agent.rows' in sys.modules)"
    )
    argv = [sys.executable, "-I", "-S", "-c", script, str(SOURCE), home]
    said = [subprocess.run(argv, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert said == ["True\n", "False\n"]


def _new_run(home: str) -> None:
    planted.final_run(home, "etl", 3)


def _removed(home: str) -> None:
    shutil.rmtree(latest(home).root)


def _log_removed(home: str) -> None:
    Path(latest(home).log).unlink(missing_ok=True)


def _log_grown(home: str) -> None:
    with open(latest(home).log, "a") as file:
        file.write("a child that was left behind\n")


def _damaged(home: str) -> None:
    with open(latest(home).final, "w"):
        pass


def _all_gone(home: str) -> None:
    shutil.rmtree(latest(home).job.root)


def _torn(home: str) -> None:
    os.truncate(index_file(home), os.stat(index_file(home)).st_size // 2)


def _emptied(home: str) -> None:
    os.truncate(index_file(home), 0)


def _of_a_newer_python(home: str) -> None:
    body = b"\xff what marshal does not know"
    Path(index_file(home)).write_bytes(b"dobby index %08x\n%b" % (zlib.crc32(body), body))


def _deleted(home: str) -> None:
    shutil.rmtree(f"{home}/index")


CHANGES = [
    *(_new_run, _removed, _log_removed, _log_grown, _damaged, _all_gone),
    *(_torn, _emptied, _of_a_newer_python, _deleted),
]
OF_THE_INDEX = CHANGES[-4:]


@pytest.mark.parametrize("change", CHANGES)
def test_it_never_lies(home: str, change: Any) -> None:
    before = listed(home)
    change(home)
    assert afresh(home) == listed(home) == listed(home)
    assert (listed(home) == before) == (change in OF_THE_INDEX)
    if change is _damaged:
        assert "unreadable" in listed(home)["unreadable"][0]


@given(st.lists(st.sampled_from([f for f in CHANGES if f not in (_all_gone, _new_run)]), max_size=4))
@settings(max_examples=15)
def test_whatever_happens_in_whatever_order(tmp_path_factory: Any, changes: list[Any]) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    for number in range(1, 6):
        planted.final_run(home, "etl", number)
    listed(home)
    for change in changes:
        if change not in OF_THE_INDEX or os.path.isdir(f"{home}/index"):
            change(home)
        assert listed(home) == afresh(home)


def test_a_change_at_the_very_moment_is_not_missed(home: str) -> None:
    """A clock ticks every 4 ms, a filesystem's perhaps every second."""
    run = planted.final_run(home, "etl", 3, aged_s=0.0)
    listed(home)
    before = os.stat(run.root).st_mtime_ns
    os.unlink(run.log)
    os.utime(run.root, ns=(before, before))
    assert listed(home)["runs"][0]["log_bytes"] == 0
    with open(index_file(home), "rb") as file:
        assert b"shop/etl" not in file.read()


def test_who_is_still_to_be_told_of_is_read(home: str) -> None:
    outbox.add(latest(home))
    listed(home)
    outbox.record(latest(home), {"event_id": "1", "channel": "team", "to": "team", "state": "failed"})
    assert listed(home) == afresh(home)
    outbox.remove(latest(home))


def test_a_host_may_have_more_projects_than_a_process_may_have_open(home: str) -> None:
    for number in range(60):
        planted.final_run(home, "etl", 1, project=f"project{number}")
    first = listed(home)
    with no_more_than(10):
        assert listed(home) == first
    assert (len(first["runs"]), first["unreadable"]) == (63, [])


def test_a_home_that_cannot_be_written_is_listed(home: str) -> None:
    open(f"{home}/index", "w").close()
    assert len(listed(home)["runs"]) == 3
