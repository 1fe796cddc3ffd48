"""An engine that hangs: whoever asks it gets on."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from dobby.agent import containers, durable
from dobby.core.layout import Run
from dobby.core.plan import PlanError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A docker whose daemon does not answer."""
    monkeypatch.setattr(containers, "ANSWERS_S", 0.5)
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\nexec /bin/sleep 600\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_a_set_up_is_told(engine: str, tmp_path: Path) -> None:
    env = {"PATH": os.path.dirname(engine), "HOME": str(tmp_path)}
    with pytest.raises(PlanError, match=r"docker does not work on this host: no answer within 0\.5 s"):
        containers.find_engine(env, f"{tmp_path}/memo")
    assert not os.path.exists(f"{tmp_path}/memo")


def test_the_end_of_a_run_is_not_kept_waiting(engine: str, tmp_path: Path) -> None:
    """The note stays, so that whoever looks next tries again."""
    run = Run(home=str(tmp_path), project="p", label="l", run_id="r")
    durable.make_dirs(run.root)
    durable.replace(run.container, durable.dump_json({"program": engine, "runtime_dir": None}))
    containers.remove(run, force=True)
    assert os.path.exists(run.container)
    assert (tmp_path / "asked").read_text() == "asked\n"
