"""Who is told of a run, and what its launch says of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client import hook as hooks
from tests.client.carried import launch

from dobby import Client
from dobby.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.hook import Hook
    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def client(repo: Repo, host: Host, heard: list[str]) -> Client:
    return Client(cwd=repo.path, say=heard.append)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hooks.serve() as running:
        yield running


def add(client: Client, host: Host, name: str, hook: Hook, *words: str) -> None:
    client.channels.add(name, "webhook", words, ask=lambda _: [f"url={hook.url}"], host=host.name)


def untold(heard: list[str]) -> list[str]:
    return [line for line in heard if "nobody will be told" in line]


def test_that_nobody_is_told_is_said_once(client: Client, host: Host, heard: list[str], hook: Hook) -> None:
    for _ in range(2):
        launch(client, host, "true").wait()
    (line,) = untold(heard)
    assert f"dobby channel add team slack -H {host.name}" in line
    add(client, host, "team", hook)
    launch(client, host, "true").wait()
    assert len(untold(heard)) == 1
    client.channels.remove("team", host=host.name)
    launch(client, host, "true").wait()
    assert len(untold(heard)) == 2


@LOCAL
def test_whom_a_run_names_in_vain_is_said(client: Client, host: Host, heard: list[str], hook: Hook) -> None:
    add(client, host, "team", hook)
    launch(client, host, "true", notify=["tema", "bob@x.example"]).wait()
    (line,) = [line for line in heard if "cannot be told" in line]
    assert "tema and bob@x.example" in line


@LOCAL
def test_a_channel_that_is_no_teams_is_told_where_it_is_named(
    client: Client, host: Host, hook: Hook
) -> None:
    add(client, host, "night", hook, "team=false", "on=succeeded")
    quiet = launch(client, host, "true")
    quiet.wait()
    named = launch(client, host, "true", notify=["night"])
    named.wait()
    hook.wait("succeeded")
    assert hook.of_run(quiet.run.run_id) == []
    assert hook.of_run(named.run.run_id) == ["succeeded"]


@LOCAL
def test_the_owners_address_is_gits_unless_the_settings_say_otherwise(
    client: Client, host: Host, repo: Repo, isolated: Path
) -> None:
    def asked(**options: Any) -> dict[str, Any]:
        run = launch(Client(cwd=repo.path), host, "true", **options)
        run.wait()
        with open(f"{run.root}/request.json") as file:
            found: dict[str, Any] = json.load(file)["request"]
        return found

    repo.git("config", "user.email", "ann@git.example")
    assert asked()["email"] == "ann@git.example"
    repo.git("config", "user.email", "no address")
    assert asked()["email"] == ""
    folder = isolated / ".config/dobby"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('email = "ann@set.example"\nnotify_on = ["failed"]\n')
    request = asked(notify=["bob@x.example"])
    assert (request["email"], request["notify_on"]) == ("ann@set.example", ["failed"])
    assert request["notify"] == ["bob@x.example"]
    (folder / "config.toml").write_text('email = ""\n')
    repo.git("config", "user.email", "ann@git.example")
    assert asked()["email"] == ""


@LOCAL
@pytest.mark.parametrize("who", ["a b", "a@b, c@d", "x@y\nBcc: z@w", "<a@b>", ""])
def test_whom_nobody_could_tell_is_refused_before_any_connection(
    client: Client, host: Host, who: str
) -> None:
    with pytest.raises(UsageError, match="nobody who could be told"):
        client.run("main", "true", host="nowhere.invalid", notify=[who])
