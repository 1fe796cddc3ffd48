"""Cleaning never touches what lives, and never leaves its root, whatever a job has planted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.carried import Carried, kill, launch, touch, until_open

from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


def clean(client: Client, **options: Any) -> tuple[list[str], list[str]]:
    """Labels that were cleaned, and the reasons for what was kept."""
    done = client.clean(["main"], **options)
    return [c["label"] for c in done["cleaned"]], [k["reason"] for k in done["kept"]]


def test_a_symlink_is_removed_and_not_what_it_leads_to(client: Client, host: Host) -> None:
    outside = f"{host.home}/outside"
    plant = f"mkdir -p {outside} && echo precious > {outside}/file && ln -s {outside} link && ln -s / root"
    run = launch(client, host, f"{plant} && ln -s {outside} $DOBBY_OUTPUTS/link")
    assert run.wait()["status"] == "succeeded"
    assert clean(client, outputs=True) == (["main"], [])
    with open(f"{outside}/file") as file:
        assert file.read() == "precious\n"
    assert not os.path.exists(f"{run.job}/sandbox")
    assert not os.path.lexists(run.outputs("link"))


def test_a_sandbox_that_is_a_symlink_now(client: Client, host: Host) -> None:
    outside = f"{host.home}/outside"
    swap = f'here=$(pwd); cd /; rm -rf "$here"; ln -s {outside} "$here"'
    run = launch(client, host, f"mkdir {outside}; touch {outside}/file; {swap}")
    assert run.wait()["status"] == "succeeded"
    assert clean(client) == (["main"], [])
    assert os.path.exists(f"{outside}/file")
    assert not os.path.lexists(f"{run.job}/sandbox")


def test_a_tree_deeper_than_any_path(client: Client, host: Host) -> None:
    dig = "import os\nfor _ in range(3000): os.mkdir('deeper'); os.chdir('deeper')"
    run = launch(client, host, f'python3 -c "{dig}"')
    assert run.wait()["status"] == "succeeded"
    assert clean(client) == (["main"], [])
    assert not os.path.exists(f"{run.job}/sandbox")


def test_what_lives_is_kept(client: Client, host: Host) -> None:
    """A run whose supervisor was killed, and a child that a final run has left behind."""
    gate = f"{host.home}/gate"
    run = launch(client, host, f"echo $$ > $DOBBY_OUTPUTS/pids; {until_open(gate)}")
    run.pids()
    kill(run.supervisor())
    assert clean(client) == ([], ["it is running"])
    touch(gate)
    run.wait()
    left = launch(client, host, "sleep 300 & exit 0")
    left.wait()
    assert clean(client) == ([], ["its label is held: something of a run still lives"])
    left.stop()
    assert clean(client, outputs=True) == (["main"], [])


def test_logs_stay_where_that_is_asked_for(client: Client, host: Host) -> None:
    run = launch(client, host, "echo said; touch untracked; echo kept > $DOBBY_OUTPUTS/it")
    run.wait()
    launch(client, host, "true").wait()  # it moves what the first has left
    assert os.path.exists(f"{run.root}/left/untracked")
    cleaned, kept = clean(client, keep_logs=True)
    assert cleaned == ["main"]
    assert [reason.partition(",")[0] for reason in kept] == ["its outputs"]
    assert [run.row()["log_bytes"] > 0, os.path.exists(run.outputs("it"))] == [True, True]
    for gone in (f"{run.root}/left", f"{run.job}/sandbox", f"{run.job}/trash"):
        assert not os.path.exists(gone)
    assert clean(client, outputs=True) == (["main"], [])
    assert [run.row()["log_bytes"], os.path.exists(run.outputs("it"))] == [0, False]
    assert sorted(os.listdir(run.root))[:2] == ["events.jsonl", "exit.json"]


def test_what_a_killed_clean_was_removing_goes_with_the_next(client: Client, host: Host) -> None:
    run = launch(client, host, "true")
    run.wait()
    host.run(["mkdir", "-p", f"{run.job}/trash/0123/0/deep"])
    assert clean(client) == (["main"], [])
    assert not os.path.exists(f"{run.job}/trash")


def test_pins_of_a_sandbox_go_with_it_and_that_of_the_last_run_stays(client: Client, host: Host) -> None:
    run = launch(client, host, "true")
    run.wait()
    refs = ["git", "-C", f"{host.home}/projects/{run.run.project}/cache.git", "for-each-ref"]
    assert b"refs/dobby/sandboxes/main" in host.run(refs)
    assert clean(client) == (["main"], [])
    assert b"refs/dobby/sandboxes/main" not in host.run(refs)
    assert b"refs/dobby/jobs/main" in host.run(refs)


def test_only_what_is_old_enough(client: Client, host: Host) -> None:
    run = launch(client, host, "true")
    run.wait()
    assert clean(client, older_than_s=3600) == ([], ["its latest run is younger"])
    _age(run, 7200)
    assert clean(client, older_than_s=3600) == (["main"], [])


def _age(run: Carried, seconds: int) -> None:
    then = os.stat(f"{run.root}/final.json").st_mtime - seconds
    os.utime(f"{run.root}/final.json", (then, then))
