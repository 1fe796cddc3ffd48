"""What --include names arrives beside the commit: closed to others, only what changed, no "left"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.drive import finished

from dobby import Client
from dobby.core.errors import UsageError
from dobby.snapshot import hashes

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

SECRET = "TOKEN=xyzzy-secret-4711\n"
SHOW = "find .env data -printf '%p %m\\n' 2>/dev/null | sort; cat .env data/one 2>/dev/null"


@pytest.fixture
def repo(repo: Repo) -> Repo:
    repo.commit("ignores", {".gitignore": ".env\ndata/\n"})
    repo.write(".env", SECRET)
    repo.write("data/one", "1\n")
    repo.write("data/sub/two", "2\n")
    repo.write("data/tool", "#!/bin/sh\necho tool\n", 0o755)
    os.symlink("../one", f"{repo.path}/data/sub/link")
    return repo


def left(client: Client, host: Host, row: dict[str, Any]) -> list[str]:
    folder = f"{host.home}/projects/project/jobs/main/runs/{row['run_id']}/left"
    listed = host.run(["find", folder, "-not", "-type", "d", "-printf", "%P\\n"], check=False)
    return sorted(listed.decode().split())


def test_files_arrive_closed_to_others_and_only_once(repo: Repo, host: Host, asked: list[int]) -> None:
    client = Client(cwd=repo.path)
    include = (".env", "data")
    row, said = finished(client, host, SHOW, include=include)
    assert said.decode() == (
        ".env 600\ndata 700\ndata/one 600\ndata/sub 700\n"
        "data/sub/link 777\ndata/sub/two 600\ndata/tool 700\n"
        f"{SECRET}1\n"
    )
    assert asked == [1, 4]
    again, said_again = finished(client, host, SHOW, include=include)
    assert said_again == said
    assert left(client, host, row) == []
    repo.write("data/one", "changed\n")
    third, said = finished(client, host, "cat data/one data/sub/link", include=include)
    assert said == b"changed\nchanged\n"
    assert asked == [1, 4, 1, 1]
    assert left(client, host, again) == []
    finished(client, host, "! test -e .env && ! test -e data")
    assert left(client, host, third) == [".env", "data/one", "data/sub/link", "data/sub/two", "data/tool"]


def test_what_a_job_changes_is_left_and_written_anew(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    change = "echo mine > data/one; echo new > data/new; rm data/sub/two; printf x >> .env"
    row, _ = finished(client, host, change, include=(".env", "data"))
    said = finished(client, host, "cat .env data/one data/sub/two; ls data", include=(".env", "data"))[1]
    assert said.decode() == f"{SECRET}1\n2\none\nsub\ntool\n"
    assert left(client, host, row) == [".env", "data/new", "data/one"]


def test_a_secret_stands_nowhere_but_in_closed_files(repo: Repo, host: Host) -> None:
    finished(Client(cwd=repo.path), host, "true", include=(".env",))
    found = host.run(["grep", "-rl", "xyzzy-secret", host.home]).decode().split()
    assert len(found) == 2, found
    modes = host.run(["stat", "-c", "%a", *found]).decode().split()
    assert modes == ["600", "600"]


def test_restart_reads_again_and_same_does_not(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "cat data/one", include=("data",))
    repo.write("data/one", "2\n")

    def again(**options: Any) -> bytes:
        said = bytearray()
        run = client.restart("main", host=host.name, **options)
        client.logs("main", said.extend, host=host.name, run=run.run_id, follow=True)
        return bytes(said)

    first = client.ps(["main"], host=host.name).runs[0]["run_id"]
    assert again() == b"2\n"
    assert again(run=first, same=True) == b"1\n"


def test_clean_takes_them_away(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, "true", include=("data",))
    finished(client, host, "true", include=(".env",), label="other")
    client.clean(["main"], host=host.name)
    kept = host.run(["grep", "-rl", "", f"{host.home}/projects/project/blobs/objects"]).decode().split()
    assert len(kept) == 2, "the other job's file and the list of it"
    client.clean(["other"], host=host.name)
    assert finished(client, host, "cat data/one", include=("data",))[1] == b"1\n"


def test_what_is_unchanged_is_not_read_again(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_RECENT_NS", 0)
    client = Client(cwd=repo.path)
    client.run("main", "true", include=("data",), dry_run=True)
    monkeypatch.setattr(hashes, "sha256", lambda: pytest.fail("read again"))
    client.run("main", "true", include=("data",), dry_run=True)
    repo.write("data/one", "longer than before\n")
    with pytest.raises(pytest.fail.Exception, match="read again"):
        client.run("main", "true", include=("data",), dry_run=True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing", "there is no such file or folder"),
        ("../up", "leaves the checkout"),
        ("/etc/passwd", "leaves the checkout"),
        (".", "is the whole checkout"),
        (".git/config", "is not allowed"),
        ("out", "is a link that leads out of the checkout"),
        ("inside/one", "lies behind the link inside"),
    ],
)
def test_what_cannot_travel_is_refused(repo: Repo, path: str, message: str) -> None:
    os.symlink("/etc", f"{repo.path}/out")
    os.symlink("data", f"{repo.path}/inside")
    with pytest.raises(UsageError, match=message):
        Client(cwd=repo.path).run("main", "true", include=(path,))


def test_what_is_tracked_or_leads_out_is_said(repo: Repo, host: Host) -> None:
    os.symlink("../../elsewhere", f"{repo.path}/data/out")
    repo.write("hello.py", "print('changed here')\n")
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    output = finished(client, host, "python3 hello.py; ls data", include=("hello.py", "data"))[1]
    assert output == b"hello\none\nsub\ntool\n"
    assert "hello.py is tracked already: it travels with main" in said
    assert "data/out leads out of the checkout and does not travel" in said


def test_the_setting_and_the_option(repo: Repo, host: Host) -> None:
    repo.commit("a setting", {"dobby.toml": 'include = ["data/one"]\n'})
    client = Client(cwd=repo.path)
    assert finished(client, host, "ls data")[1] == b"one\n"
    assert finished(client, host, "ls -A | grep -x -e data -e .env", include=(".env",))[1] == b".env\n"


def test_a_repository_by_url_has_nothing_to_include(repo: Repo) -> None:
    with pytest.raises(UsageError, match="--include needs a checkout"):
        Client(cwd="/").run("main", "true", repo=f"file://{repo.path}", include=("data",), host="local")
