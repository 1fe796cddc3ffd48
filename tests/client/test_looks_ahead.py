"""The host looks at a job's sandbox while the laptop still makes its snapshot."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import launch

from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

# A git that notes, whenever files are looked at, how many runs the job has: the launch that is under
# way is none before it was accepted.
_SETUP = r"""
mkdir -p -m 700 "$1" "$1/bin"
printf 'path = ["%s"]\n' "$1/bin" >"$1/config.toml"
cat >"$1/bin/git" <<END
#!/bin/sh
case " \$* " in *" status "*) ls ../runs | wc -l >>$1/looks;; esac
exec $2 "\$@"
END
chmod 700 "$1/bin/git"
"""


@pytest.mark.parametrize("revision", ["main", "."])
def test_it_looks_once_and_before_the_launch_is_accepted(host: Host, repo: Repo, revision: str) -> None:
    client = Client(cwd=repo.path)
    host.run(["sh", "-c", _SETUP, "sh", host.home, str(shutil.which("git"))])

    def looks() -> list[int]:
        return [int(word) for word in host.run(["cat", f"{host.home}/looks"]).split()]

    for number in range(3):
        repo.write("hello.py", f"print({number})\n")
        run = launch(client, host, "cat hello.py; echo left >left", revision=revision, label="same")
        assert run.wait()["status"] == "succeeded"
    assert looks() == [1, 2]
    with open(f"{run.root}/output.log") as file:
        said = file.read()
    assert "moved 1 file to left/" in said
    assert ("print(2)" in said) == (revision == ".")


def test_a_label_that_is_held_is_not_looked_at(host: Host, repo: Repo) -> None:
    client = Client(cwd=repo.path)
    host.run(["sh", "-c", _SETUP, "sh", host.home, str(shutil.which("git"))])
    launch(client, host, "true", label="held").wait()
    first = launch(client, host, "sleep 60", label="held")
    first.await_event("started")
    second = launch(client, host, "true", label="held", if_running="queue")
    first.stop()
    assert second.wait()["status"] == "succeeded"
    assert host.run(["cat", f"{host.home}/looks"]).split() == [b"1", b"3"]
