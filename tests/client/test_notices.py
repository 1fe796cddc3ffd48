"""Everyone knows how it went: from the host, with a service that is real, whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.client import hook as hooks
from tests.client.carried import (
    Carried,
    await_gone,
    is_alive,
    kill,
    kill_unseen,
    launch,
    steward,
    touch,
    until_open,
)
from tests.client.hook import Hook
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


def configure(host: Host, text: str) -> None:
    """The host's settings, put in place whole, by the account that has the jobs."""
    words = 'mkdir -p -m 700 "$1" && cat > "$1/new" && mv "$1/new" "$1/config.toml"'
    host.run(["sh", "-c", words, "sh", host.home], input=text.encode())


@pytest.fixture
def gate(host: Host) -> str:
    return f"{host.home}/gate"


def gated(client: Client, host: Host, gate: str, code: int = 0, **options: Any) -> Carried:
    run = launch(
        client, host, f"echo $$ >> $DOBBY_OUTPUTS/pids; {until_open(gate)}; exit {code}", **options
    )
    run.pids()
    return run


def notices(run: Carried) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.row()["notices"]
    return found


def await_recorded(run: Carried) -> None:
    """What was told of the run so far is recorded, so that whoever dies now does not have it told again."""
    until(lambda: notices(run) and notices(run)[0]["state"] == "sent", evidence=lambda: notices(run))


def outbox(host: Host) -> list[str]:
    return os.listdir(f"{host.home}/outbox")


def await_told(host: Host) -> None:
    until(lambda: not outbox(host), 20, evidence=lambda: outbox(host))


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


# --- what is killed -----------------------------------------------------------------------------


def test_a_killed_supervisor(client: Client, host: Host, team: Hook, gate: str) -> None:
    """The command goes on; its exit code is told, once, though nobody asks."""
    run = gated(client, host, gate, 7)
    kill(run.supervisor())
    touch(gate)
    assert team.wait("failed")["run"]["exit_code"] == 7
    await_told(host)
    assert team.kinds() == ["started", "failed"]


def test_supervisor_and_wrapper_killed(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    kill(run.supervisor(), run.wrapper())
    touch(gate)
    await_gone(*run.pids())
    gone = time.monotonic()
    assert team.wait("lost")["run"]["cause"] == {"kind": "supervisor_killed"}
    assert team.posts[-1].at - gone < 5
    await_told(host)
    assert team.kinds() == ["started", "lost"]


@LOCAL
@pytest.mark.parametrize("phase", ["running", "preparing", "queued"])
def test_a_killed_steward_is_replaced_by_a_supervisor(
    client: Client, host: Host, team: Hook, gate: str, phase: str
) -> None:
    first = gated(client, host, gate)
    guard = first
    if phase == "preparing":
        guard = launch(client, host, "true", label="other", setup=until_open(gate))
    elif phase == "queued":
        guard = launch(client, host, "true", if_running="queue")
    await_recorded(first)
    if guard is not first:
        kill(first.supervisor())
    dead = steward(host)
    kill(dead)
    until(lambda: steward(host) != dead and is_alive(steward(host)), 30, evidence=lambda: steward(host))
    assert is_alive(guard.supervisor())
    touch(gate)
    assert guard.wait()["status"] == "succeeded"
    await_told(host)
    for run in {first.run.run_id, guard.run.run_id}:
        assert team.of_run(run) == ["started", "succeeded"]


@LOCAL
def test_stewards_that_die_at_once_do_not_come_in_a_flood(
    client: Client, host: Host, team: Hook, gate: str
) -> None:
    run = gated(client, host, gate)
    dead = steward(host)
    kill(dead)
    until(lambda: steward(host) != dead and is_alive(steward(host)), 5)
    second = steward(host)
    began = time.monotonic()
    kill(second)
    until(lambda: steward(host) != second and is_alive(steward(host)), 30)
    assert time.monotonic() - began > 5
    assert is_alive(run.supervisor())
    touch(gate)
    team.wait("succeeded")


def test_a_killed_steward_is_replaced_by_the_next_contact(client: Client, host: Host, team: Hook) -> None:
    team.answers = [500] * 2
    run = launch(client, host, "exit 4")
    until(lambda: notices(run) and notices(run)[0]["state"] == "failed", evidence=lambda: notices(run))
    until(lambda: run.row()["status"] == "failed")
    kill_unseen(host)
    assert outbox(host)
    client.ps(host=host.name)
    team.wait("failed")
    await_told(host)
    assert notices(run)[0]["state"] == "sent"


@LOCAL
def test_another_boot(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    await_recorded(run)
    kill_unseen(host, run.supervisor(), run.wrapper(), *run.pids())
    path = f"{run.root}/events.jsonl"
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace(boot, "another"))
    assert team.kinds() == ["started"]
    client.ps(host=host.name)
    assert team.wait("lost")["run"]["cause"] == {"kind": "rebooted"}
    await_told(host)
    assert team.kinds() == ["started", "lost"]


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


# --- the steward itself -----------------------------------------------------------------------------


def test_a_run_is_acknowledged_once_a_steward_lives(client: Client, host: Host, gate: str) -> None:
    run = launch(client, host, until_open(gate))
    watcher = steward(host)
    assert is_alive(watcher)
    assert os.path.exists(f"{host.home}/outbox/{run.run.project}%2F{run.run.label}%2F{run.run.run_id}")
    touch(gate)
    run.wait()
    await_told(host)
    second = launch(client, host, "true")
    second.wait()
    assert steward(host) == watcher


@LOCAL
def test_it_leaves_when_all_is_told(client: Client, host: Host, team: Hook) -> None:
    launch(client, host, "true")
    team.wait("succeeded")
    await_told(host)
    began, watcher = time.monotonic(), steward(host)
    until(lambda: not is_alive(watcher), 15)
    assert time.monotonic() - began > 8
    with open(f"{host.home}/{next(n for n in os.listdir(host.home) if n.endswith('.err'))}") as file:
        assert file.read() == ""


@LOCAL
def test_it_sleeps_while_jobs_are_silent(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    await_recorded(run)
    seen: list[int] = []

    def still() -> bool:
        seen[:] = [_switches(steward(host))]
        threading.Event().wait(1.5)
        seen.append(_switches(steward(host)))
        return seen[0] == seen[1]

    until(still, 8, evidence=lambda: seen)
    assert _children(steward(host)) == []
    touch(gate)
    team.wait("succeeded")


def _switches(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@LOCAL
def test_there_is_one(client: Client, host: Host, team: Hook, gate: str) -> None:
    """Many contacts at one instant, and no steward."""
    run = gated(client, host, gate)
    await_recorded(run)
    os.kill(run.supervisor(), signal.SIGSTOP)
    kill(steward(host))
    threads = [threading.Thread(target=client.ps, kwargs={"host": host.name}) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: is_alive(steward(host)))
    os.kill(run.supervisor(), signal.SIGCONT)
    until(
        lambda: _named("dobby-steward", host) == [steward(host)],
        evidence=lambda: _named("dobby-steward", host),
    )
    touch(gate)
    team.wait("succeeded")
    await_told(host)
    assert team.kinds() == ["started", "succeeded"]


def _named(name: str, host: Host) -> list[int]:
    """Processes of that name which serve this host: their stderr is in its directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                same = file.read().strip() == name
            if same and os.readlink(f"/proc/{pid}/fd/2").startswith(host.home):
                found.append(int(pid))
        except OSError:
            continue
    return found


@LOCAL
def test_it_goes_when_it_is_told_to(client: Client, host: Host, team: Hook, gate: str) -> None:
    run = gated(client, host, gate)
    team.wait("started")
    kill(run.supervisor())
    watcher = steward(host)
    os.kill(watcher, signal.SIGTERM)
    await_gone(watcher)
    touch(gate)
    until(lambda: os.path.exists(f"{run.root}/exit.json"))
    client.ps(host=host.name)
    team.wait("succeeded")


@LOCAL
def test_a_run_that_was_removed(client: Client, host: Host, team: Hook) -> None:
    team.answers = [(429, {"Retry-After": "3000"})]
    run = launch(client, host, "true")
    run.wait()
    until(lambda: notices(run))
    shutil.rmtree(run.root)
    await_told(host)
