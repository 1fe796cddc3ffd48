"""Everyone knows how it went: from the host, with a service that is real and may be out of order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client import hook as hooks
from tests.client.carried import kill, kill_unseen, launch, steward, touch
from tests.client.hook import Hook, await_told, configure, gated, notices
from tests.wait import until

from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hooks.serve() as running:
        yield running


@pytest.fixture
def team(host: Host, hook: Hook) -> Hook:
    """A service behind the channel "team"."""
    configure(host, hooks.table("team", hook))
    return hook


@pytest.fixture
def gate(host: Host) -> str:
    return f"{host.home}/gate"


# --- what is told -----------------------------------------------------------------------------


def test_a_start_and_an_end(client: Client, host: Host, team: Hook) -> None:
    run = launch(client, host, "echo working; exit 3")
    team.wait("failed")
    await_told(host)
    assert team.kinds() == ["started", "failed"]
    first, last = (post.body for post in team.posts)
    assert first["event_id"] == f"{run.run.run_id}.started"
    assert (last["event_id"], last["run"]["exit_code"]) == (f"{run.run.run_id}.failed", 3)
    assert last["run"]["status"] == "failed"
    assert "tail" not in last["run"]  # the team's channel does not ask for lines of the log
    assert notices(run) == [{"channel": "team", "state": "sent", "attempts": 1}]


@LOCAL
def test_lines_of_the_log_are_masked(host: Host, hook: Hook, monkeypatch: Any, repo: Repo) -> None:
    configure(host, hooks.table("team", hook, log_lines="true"))
    monkeypatch.setenv("TOKEN", "canary-5309")
    client = Client(cwd=repo.path)
    run = launch(client, host, "echo using $TOKEN; echo ValueError: bad $TOKEN; exit 1", env=["TOKEN"])
    said = hook.wait("failed")["run"]
    assert said["tail"] == ["using ***", "ValueError: bad ***"]
    assert said["error_line"] == "ValueError: bad ***"
    await_told(host)
    with open(f"{run.root}/excerpt.json") as file:
        assert "canary" not in file.read()


@LOCAL
def test_no_lines_where_nobody_could_mask_them(
    host: Host, hook: Hook, monkeypatch: Any, gate: str, repo: Repo
) -> None:
    """The supervisor, which alone knows the forwarded values, was killed."""
    configure(host, hooks.table("team", hook, log_lines="true"))
    monkeypatch.setenv("TOKEN", "canary-5309")
    run = gated(Client(cwd=repo.path), host, gate, 1, env=["TOKEN"])
    kill(run.supervisor())
    touch(gate)
    assert hook.wait("failed")["run"]["tail"] == []


@LOCAL
def test_history(client: Client, host: Host, team: Hook, repo: Repo) -> None:
    first = launch(client, host, "true")
    first.wait()
    launch(client, host, "false").wait()
    repo.commit("one more", {"more": "1"})
    repo.commit("another", {"more": "2"})
    third = launch(client, host, "exit 2")
    until(lambda: team.of_run(third.run.run_id) == ["started", "failed"], evidence=team.kinds)
    told = team.posts[-1].body["run"]
    before = first.row()
    assert told["last_success"] == {
        "run_id": before["run_id"],
        "commit": before["commit"],
        "commits_ago": 2,
    }
    assert [post.body["run"]["last_success"] for post in team.posts[:2]] == [None, None]


@LOCAL
def test_a_run_that_falls_silent(client: Client, host: Host, hook: Hook, gate: str) -> None:
    configure(host, 'stall_after = "600ms"\n' + hooks.table("team", hook))
    run = gated(client, host, gate)
    talks = launch(client, host, f"until [ -e {gate} ]; do echo .; sleep 0.1; done", label="talks")
    said = hook.wait("stalled")
    assert (said["run"]["run_id"], said["run"]["status"]) == (run.run.run_id, "running")
    touch(gate)
    run.wait()
    await_told(host)
    assert hook.of_run(run.run.run_id) == ["started", "stalled", "succeeded"]
    assert hook.of_run(talks.run.run_id) == ["started", "succeeded"]


# --- channels that fail -----------------------------------------------------------------------------


@LOCAL
def test_an_outage_is_survived(client: Client, host: Host, team: Hook) -> None:
    team.answers = [500, (429, {"Retry-After": "3"})]
    run = launch(client, host, "true")
    assert run.wait()["status"] == "succeeded"
    await_told(host)
    assert team.kinds() == ["started", "started", "started", "succeeded"]
    assert team.posts[2].at - team.posts[1].at >= 3
    assert notices(run) == [{"channel": "team", "state": "sent", "attempts": 3}]


@LOCAL
def test_given_up_after_a_day(client: Client, host: Host, team: Hook, gate: str) -> None:
    team.answers = [500, 500]
    run = gated(client, host, gate)
    until(lambda: team.kinds() == ["started"], evidence=team.kinds)
    until(lambda: notices(run))
    kill_unseen(host, run.supervisor())
    path = f"{run.root}/notices.jsonl"
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    with open(path, "w") as file:
        for line in lines:
            file.write(json.dumps({**line, "at": "2020-01-01T00:00:00.000Z", "next_at": None}) + "\n")
    client.ps(host=host.name)
    until(lambda: notices(run)[0]["state"] == "given_up", evidence=lambda: notices(run))
    touch(gate)
    team.wait("succeeded")
    await_told(host)
    assert team.kinds() == ["started", "started", "succeeded"]
    assert notices(run) == [{"channel": "team", "state": "given_up", "attempts": 2}]
    with open(path) as file:
        assert "secret-path" not in file.read()


@LOCAL
def test_what_is_refused_is_not_repeated(client: Client, host: Host, team: Hook) -> None:
    team.answers = [400, 200]
    run = launch(client, host, "true")
    run.wait()
    await_told(host)
    assert team.kinds() == ["started", "succeeded"]
    assert notices(run) == [{"channel": "team", "state": "given_up", "attempts": 1}]


@LOCAL
def test_killed_after_sending_before_recording(client: Client, host: Host, team: Hook, gate: str) -> None:
    """The one case in which people are told twice: the id says that it is the same."""
    team.answers = [Hook.HANG]
    run = gated(client, host, gate)
    team.wait("started")
    dead = steward(host)
    kill(dead)
    until(lambda: len(team.posts) == 2, evidence=team.kinds)
    team.let_go.set()
    touch(gate)
    run.wait()
    await_told(host)
    assert [post.body["event_id"].partition(".")[2] for post in team.posts] == [
        *("started", "started"),
        "succeeded",
    ]


@LOCAL
def test_a_channel_that_hangs_delays_nobody(client: Client, host: Host, team: Hook) -> None:
    with hooks.serve() as stuck:
        stuck.answers = [Hook.HANG] * 9
        configure(host, hooks.table("stuck", stuck) + hooks.table("team", team))
        run = launch(client, host, "true")
        assert run.wait()["status"] == "succeeded"
        team.wait("succeeded", 5)
        assert launch(client, host, "true").wait()["status"] == "succeeded"
        until(lambda: team.kinds().count("succeeded") == 2, 5, evidence=team.kinds)
        assert stuck.kinds() == ["started"]
        configure(host, hooks.table("team", team))
        stuck.let_go.set()
        await_told(host)


@LOCAL
def test_mended_settings_are_tried_at_once(client: Client, host: Host, hook: Hook) -> None:
    text = hooks.table("team", hook)
    hook.answers = [(429, {"Retry-After": "3000"})]
    configure(host, text)
    run = launch(client, host, "true")
    run.wait()
    until(lambda: notices(run))
    configure(host, "[channel.team\n")
    run.wait()
    configure(host, text)
    hook.wait("succeeded", 8)
    await_told(host)
