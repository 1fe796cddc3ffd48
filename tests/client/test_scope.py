"""A host with a user manager: each run starts in a scope of its own.

There is no systemd where these tests run: `systemd-run` is a STAND-IN here, a script that notes its
arguments and then becomes the program after `--`, as `systemd-run --scope` does (systemd-run(1)).
What is proved is our own part: how it is called, what it inherits, and what follows if it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.client.carried import kill, touch, until_open
from tests.client.scopes import Scoped, make_scoped

import dobby

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo

CANARY = "s3cr3t-canary"
STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" >> "$HOME/systemd-run.argv"
env > "$HOME/systemd-run.env"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
FAILING = """#!/bin/sh
echo called >> "$HOME/systemd-run.argv"
echo "Failed to connect to bus: No medium found" >&2
exit 1
"""


@pytest.fixture
def script() -> str:
    return STAND_IN


@pytest.fixture
def scoped(
    isolated: Path, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> Scoped:
    monkeypatch.setenv("TOKEN", CANARY)
    return make_scoped(isolated, repo, tmp_path, monkeypatch, script)


def test_a_run_in_its_scope(scoped: Scoped) -> None:
    gate = f"{scoped.host.home}/gate"
    notes = 'printf %s "$TOKEN" > $DOBBY_OUTPUTS/token; echo $$ > $DOBBY_OUTPUTS/pids'
    run = scoped.launch(f"{notes}; {until_open(gate)}; exit 4", env=["TOKEN"])
    run.pids()
    argv = scoped.argv()
    assert argv[:6] == ["--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"]
    assert argv[6:8] == [f"--unit=dobby-{run.run.run_id}", "--"]
    with open(f"/proc/{run.supervisor()}/cmdline", "rb") as file:
        words = file.read()
    assert words.rstrip(b"\0").endswith(b"supervise")
    assert CANARY not in "\n".join(argv)
    assert CANARY.encode() not in words
    with open(scoped.home / "systemd-run.env") as file:
        assert CANARY not in file.read()
    with open(run.outputs("token")) as file:
        assert file.read() == CANARY
    with pytest.raises(dobby.Busy, match=f"run {run.run.run_id} is running"):
        scoped.launch("true")
    touch(gate)
    assert run.wait()["exit_code"] == 4
    assert scoped.launch("true").wait()["status"] == "succeeded"
    with open(f"{run.root}/supervisor.err") as file:
        assert file.read() == ""


def test_the_locks_are_inherited_and_no_further(scoped: Scoped) -> None:
    """The run's lock ends with the supervisor: it has not reached the job, though it went through exec."""
    gate = f"{scoped.host.home}/gate"
    run = scoped.launch(f"echo $$ > $DOBBY_OUTPUTS/pids; ls -l /proc/self/fd >&2; {until_open(gate)}")
    run.pids()
    kill(run.supervisor())
    touch(gate)
    assert run.wait()["status"] == "succeeded"
    with open(f"{run.root}/output.log") as file:
        said = file.read()
    assert f"{run.root}/lock" not in said
    assert f"{run.job}/lock" in said


def test_queued_runs_in_their_scopes(scoped: Scoped) -> None:
    gate = f"{scoped.host.home}/gate"
    first = scoped.launch(until_open(gate))
    second = scoped.launch("true", if_running="queue")
    assert second.row()["status"] == "queued"
    touch(gate)
    assert second.wait()["status"] == "succeeded"
    assert first.row()["status"] == "succeeded"
    units = [w for w in scoped.argv() if w.startswith("--unit=")]
    assert [w for w in units if "steward" not in w] == [
        f"--unit=dobby-{run.run.run_id}" for run in (first, second)
    ]


@pytest.mark.parametrize("script", [FAILING])
def test_without_a_scope_it_runs_all_the_same(scoped: Scoped) -> None:
    run = scoped.launch('[ "$TOKEN" = s3cr3t-canary ] && exit 4', env=["TOKEN"])
    assert run.wait()["exit_code"] == 4
    assert set(scoped.argv()) == {"called"}  # for the run, and for the steward
    assert [e["kind"] for e in run.events()].count("preparing") == 1


def test_no_user_manager_no_scope(scoped: Scoped, tmp_path: Path) -> None:
    (tmp_path / "run" / "systemd" / "private").unlink()
    assert scoped.launch("true").wait()["status"] == "succeeded"
    assert not (scoped.home / "systemd-run.argv").exists()


def test_a_user_manager_that_ends_with_the_session_is_not_relied_on(scoped: Scoped, tmp_path: Path) -> None:
    (tmp_path / "bin" / "loginctl").write_text("#!/bin/sh\necho no\n")
    assert scoped.launch("true").wait()["status"] == "succeeded"
    assert not (scoped.home / "systemd-run.argv").exists()
