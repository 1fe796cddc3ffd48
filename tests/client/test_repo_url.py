"""`--repo URL`: without a checkout the host fetches the revision with its own access."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.client.drive import finished, launch
from tests.client.test_bad_input import Watching

import dobby
from dobby import Client
from dobby.core.urls import split_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def bare(repo: Repo, host: Host) -> Iterator[Path]:
    """A bare repository that the account on the host may read."""
    base = Path(host.sshd.home if host.sshd else os.environ["HOME"], "remotes")
    path = base / "far.git"
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, str(path)], check=True)
    host_user = host.sshd.user if host.sshd else ""
    if host_user and os.getuid() == 0:
        subprocess.run(["chown", "-R", host_user, str(base)], check=True)
    yield path
    subprocess.run(["rm", "-rf", str(base)], check=True)


@pytest.fixture
def outside(tmp_path: Path, host: Host) -> Client:
    """A client that stands in no checkout."""
    return Client(cwd=str(tmp_path))


@pytest.mark.parametrize(
    ("revision", "branch", "said"),
    [("demo", "demo", "hello from demo"), ("v1", "", "hello"), ("main", "main", "hello")],
)
def test_a_branch_or_tag_of_a_url(
    outside: Client, bare: Path, host: Host, repo: Repo, revision: str, branch: str, said: str
) -> None:
    command = "python3 hello.py; echo $(git branch --show-current); git remote get-url origin"
    row, text = finished(outside, host, command, revision=revision, repo=f"file://{bare}", label="x")
    assert text.decode().split("\n") == [said, branch, f"file://{bare}", ""]
    assert row["project"] == "far"
    assert row["commit"] == repo.git("rev-parse", f"{revision}^{{commit}}")


def test_a_full_commit_of_a_url(outside: Client, bare: Path, host: Host, repo: Repo) -> None:
    commit = repo.git("rev-parse", "main~1")
    row, text = finished(
        outside, host, "git rev-parse HEAD", revision=commit, repo=f"file://{bare}", label="x"
    )
    assert (row["commit"], text.decode().strip()) == (commit, commit)


def test_restart_fetches_the_present_tip(outside: Client, bare: Path, host: Host, repo: Repo) -> None:
    first, _ = finished(outside, host, "true", revision="main", repo=f"file://{bare}")
    new = repo.commit("newer")
    _push(repo, bare)
    again = outside.restart("far/main")
    assert (again.row["commit"], first["commit"]) == (new, repo.git("rev-parse", "main~1"))
    assert outside.wait("far/main")["status"] == "succeeded"
    same = outside.restart("far/main", run=first["run_id"], same=True)
    assert same.row["commit"] == first["commit"]
    outside.wait("far/main")


def test_settings_of_that_revision_hold(outside: Client, bare: Path, host: Host, repo: Repo) -> None:
    """Also the one that names the project."""
    repo.commit("settings", {"dobby.toml": 'name = "renamed"\nlabel = "from-file"\nenvironment = "none"\n'})
    _push(repo, bare)
    run = outside.run("main", "true", repo=f"file://{bare}", host=host.name)
    assert (run.project, run.label) == ("renamed", "from-file")
    assert outside.wait("renamed/from-file", host=host.name)["status"] == "succeeded"
    again = outside.restart("renamed/from-file", host=host.name)
    assert again.project == "renamed"
    outside.wait("renamed/from-file", host=host.name)


def _push(repo: Repo, bare: Path) -> None:
    repo.git("config", "--global", "safe.directory", "*")
    repo.git("push", "-q", str(bare), "main")
    if os.getuid() == 0:
        owner = os.stat(bare.parent).st_uid
        subprocess.run(["chown", "-R", str(owner), str(bare)], check=True)


@pytest.mark.parametrize(
    ("url", "revision", "what"),
    [
        ("file:///nowhere/far.git", "main", "the host could not fetch that revision: .*/nowhere/far.git"),
        ("", "no-such-branch", "the host could not fetch that revision: .*no-such-branch"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_gits_words(
    outside: Client, bare: Path, host: Host, url: str, revision: str, what: str
) -> None:
    with pytest.raises(dobby.DobbyError, match=what) as failed:
        launch(outside, host, "true", revision=revision, repo=url or f"file://{bare}")
    assert "from a checkout, dobby sends the commits itself" in failed.value.hint


def test_a_working_tree_has_no_url(outside: Client) -> None:
    with pytest.raises(dobby.UsageError, match="--repo has none"):
        outside.run(".", "true", repo="https://example.invalid/x.git")


# --- a login within the URL ----------------------------------------------------------------------

USER, PASSWORD = f"us{os.urandom(6).hex()}", f"p@ss:{os.urandom(6).hex()}"


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Serves files to who knows the login (git's dumb protocol needs no more)."""

    directory_served = moved_to = ""
    logins: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.logins.append(self.headers.get("Authorization"))
        if self.moved_to:
            self.send_response(302)
            self.send_header("Location", self.moved_to + self.path)
            self.end_headers()
            return
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        super().do_GET()

    def translate_path(self, path: str) -> str:
        return self.directory_served + path.partition("?")[0]

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web(repo: Repo, tmp_path: Path) -> Iterator[str]:
    """host:port of a web server with /team/far.git behind a login."""
    path = tmp_path / "web/team/far.git"
    subprocess.run(["git", "clone", "-q", "--bare", repo.path, str(path)], check=True)
    subprocess.run(["git", "-C", str(path), "update-server-info"], check=True)
    with serving(directory_served=str(tmp_path / "web")) as (web, _):
        yield web


@contextlib.contextmanager
def serving(**fields: str) -> Iterator[tuple[str, list[str | None]]]:
    """host:port of a Guarded with these fields, and the logins that it is given."""
    logins: list[str | None] = []
    handler = type("Served", (Guarded,), {**fields, "logins": logins})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", logins
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_login_does_not_follow_to_another_server(outside: Client, web: str, tmp_path: Path) -> None:
    secret = PASSWORD.replace("@", "%40").replace(":", "%3A")
    there = {"directory_served": str(tmp_path / "web")}
    with serving(**there) as (other, logins), serving(moved_to=f"http://{other}") as (first, _):
        url = f"http://{USER}:{secret}@{first}/team/far.git"
        with pytest.raises(dobby.DobbyError, match="could not fetch"):
            outside.run("demo", "true", repo=url, host="local")
    assert set(logins) == {None}


def test_a_login_in_the_url_is_used_and_kept_nowhere(outside: Client, web: str, host: Host) -> None:
    secret = PASSWORD.replace("@", "%40").replace(":", "%3A")
    said: list[str] = []
    client = Client(cwd=outside._cwd, say=said.append)
    watching = Watching(PASSWORD, USER)
    row, text = finished(
        client,
        host,
        "git remote get-url origin",
        revision="demo",
        repo=f"http://{USER}:{secret}@{web}/team/far.git",
    )
    with pytest.raises(dobby.DobbyError, match="could not fetch") as failed:
        launch(client, host, "true", revision="demo", repo=f"http://{USER}:x{secret}@{web}/team/far.git")
    assert watching.ended() == set()
    assert (row["status"], text) == ("succeeded", f"http://{web}/team/far.git\n".encode())
    for word in (USER, PASSWORD, secret):
        assert word not in "".join([*said, failed.value.message, failed.value.hint])
        assert host.run(["grep", "-rlF", word, host.home], check=False) == b""


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://u:p%40s@h/x", ("https://h/x", "u", "p@s")),
        ("https://token@h/x", ("https://h/x", "token", "")),
        ("https://h/x@y", ("https://h/x@y", "", "")),
        ("git@h:team/x.git", ("git@h:team/x.git", "", "")),
        ("ssh://git@h:22/x", ("ssh://git@h:22/x", "", "")),
        ("ssh://git:pw@h/x", ("ssh://git@h/x", "", "")),
        ("/a/b@c", ("/a/b@c", "", "")),
        ("file:///a@b/c", ("file:///a@b/c", "", "")),
    ],
)
def test_what_of_a_url_is_kept(url: str, kept: tuple[str, str, str]) -> None:
    assert split_login(url) == kept
