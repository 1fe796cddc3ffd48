"""`readable_by` of the host's settings: who else may read logs, outputs and sandboxes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from tests.client import hook
from tests.client.carried import launch

from dobby import Client

if TYPE_CHECKING:
    from tests.client.carried import Carried
    from tests.conftest import Host
    from tests.gitrepo import Repo

COMMAND = "mkdir -p out/deep; echo a > out/deep/a; echo b > $DOBBY_OUTPUTS/b; (umask 077; echo c > out/c)"


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def ended(repo: Repo, host: Host) -> Carried:
    run = launch(Client(cwd=repo.path), host, COMMAND, output=["out"])
    assert run.wait()["status"] == "succeeded"
    return run


def open_files(run: Carried) -> set[str]:
    """Files below dobby's directory that are open to others; agents are no secret."""
    return {
        os.path.relpath(f"{base}/{name}", run.root)
        for base, _, files in os.walk(f"{run.host.home}/projects")
        for name in files
        if mode(f"{base}/{name}") & 0o077 and "/.git/" not in f"{base}/{name}" and ".git/" not in base
    }


@pytest.mark.parametrize(("setting", "bits"), [("group", 0o050), ("all", 0o055)])
def test_log_outputs_and_sandbox_are_opened_and_nothing_else(
    repo: Repo, host: Host, setting: str, bits: int
) -> None:
    hook.configure(host, f'readable_by = "{setting}"\n')
    run = ended(repo, host)
    assert mode(host.home) == 0o700 | bits & 0o011
    for folder in (run.root, run.job, f"{run.job}/sandbox", run.outputs("out"), run.outputs("out/deep")):
        assert mode(folder) == 0o700 | bits, folder
    assert mode(f"{run.root}/output.log") == 0o600 | bits & 0o044
    for file in (run.outputs("b"), run.outputs("out/deep/a")):  # with the account's own umask
        assert mode(file) & bits & 0o044 == bits & 0o044, file
    assert mode(run.outputs("out/c")) == 0o600  # the job's own decision
    others = {name for name in open_files(run) if not name.startswith(("outputs/", "../../sandbox/"))}
    assert others == {"output.log"}
    assert mode(f"{host.home}/config.toml") == 0o600

    hook.configure(host, "")
    closed = ended(repo, host)
    assert mode(host.home) == mode(closed.root) == mode(closed.job) == mode(f"{run.job}/sandbox") == 0o700


def test_without_it_all_is_private(repo: Repo, host: Host) -> None:
    run = ended(repo, host)
    jobs_own = (
        "../../sandbox/",
        "outputs/",
    )  # of any mode, behind directories that are closed
    assert {n for n in open_files(run) if not n.startswith(jobs_own)} == set()
    assert mode(host.home) == mode(run.root) == mode(f"{run.job}/sandbox") == 0o700
