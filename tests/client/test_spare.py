"""The spare sandbox: made where a project has several jobs, taken by the next new label."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import launch
from tests.wait import until

from dobby import Client
from dobby.agent import spare

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Host
    from tests.gitrepo import Repo

_DISK = shutil.disk_usage("/")
pytestmark = pytest.mark.skipif(
    _DISK.free <= spare.LEAST_FREE * _DISK.total,
    reason="a spare is made only where a fifth of the disk is free",
)


def spares(host: Host) -> list[str]:
    """Whole spares, and what is being made."""
    project = f"{host.home}/projects"
    folders = [f"{project}/{name}" for name in os.listdir(project)]
    return [f"{f}/{name}" for f in folders for name in os.listdir(f) if name.startswith("spare.0")]


def test_a_second_job_has_one_made_and_the_third_takes_it(host: Host, repo: Repo) -> None:
    client = Client(cwd=repo.path)
    repo.commit("old", {"old": "old"})
    launch(client, host, "true", label="one").wait()
    assert spares(host) == []  # one job that runs again and again needs none
    launch(client, host, "true", label="two").wait()
    until(lambda: [path.endswith("spare.077") for path in spares(host)] == [True], 20, spares_of(host))
    inode = os.stat(spares(host)[0]).st_ino

    os.unlink(f"{repo.path}/old")
    repo.commit("new", {"new": "new"})
    run = launch(client, host, "git status --porcelain --ignored; git log --format=%s; ls", label="three")
    assert run.wait()["status"] == "succeeded"
    sandbox = f"{run.job}/sandbox"
    assert os.stat(sandbox).st_ino == inode
    assert not os.path.exists(f"{sandbox}/old")
    with open(f"{run.root}/output.log") as file:
        said = file.read().splitlines()
    assert said[0].startswith("[dobby] sandbox: new (")
    assert said[2:4] == ["new", "old"]
    assert os.listdir(f"{run.root}/left") == [] if os.path.isdir(f"{run.root}/left") else True
    until(lambda: len(spares(host)) == 1 and spares(host)[0].endswith("spare.077"), 20, spares_of(host))


def test_a_spare_that_was_damaged_is_not_used(host: Host, repo: Repo) -> None:
    client = Client(cwd=repo.path)
    for label in ("one", "two"):
        launch(client, host, "true", label=label).wait()
    until(lambda: any(path.endswith("spare.077") for path in spares(host)), 20, spares_of(host))
    subprocess.run(["rm", "-r", f"{spares(host)[0]}/.git"], check=True)
    run = launch(client, host, "git rev-parse HEAD", label="three")
    assert run.wait()["status"] == "succeeded"


def test_clean_of_all_jobs_takes_the_spare_along(host: Host, repo: Repo) -> None:
    client = Client(cwd=repo.path)
    for label in ("one", "two"):
        launch(client, host, "true", label=label).wait()
    until(lambda: any(path.endswith("spare.077") for path in spares(host)), 20, spares_of(host))
    client.clean(all=True, host=host.name)
    assert spares(host) == []


def spares_of(host: Host) -> Callable[[], list[str]]:
    return lambda: spares(host)
