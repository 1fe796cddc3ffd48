"""`become`: who logs in is one account, the jobs are another's, and sudo lies between, for real."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import leftovers
from tests import sshd as sshd_module
from tests.client import hook
from tests.client.carried import launch
from tests.client.drive import finished
from tests.client.test_shell import Terminal
from tests.conftest import Host, empty

import dobby
from dobby import Client
from dobby.client import fetching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gitrepo import Repo

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="accounts and sudo's rules are root's to make")


class Team:
    """The account that owns the jobs, and the sshds by which two people log in as themselves."""

    def __init__(self, owner: str, alice: sshd_module.Sshd, bob: sshd_module.Sshd, rules: str) -> None:
        self.owner, self.home = owner, pwd.getpwnam(owner).pw_dir
        self.alice, self.bob, self.rules = alice, bob, rules

    def allow(self, *more: str) -> None:
        lines = [f"{one.user} ALL=({self.owner}) NOPASSWD: ALL" for one in (self.alice, self.bob)]
        sshd_module.write(self.rules, [*lines, *more], 0o440)

    def host(self) -> Host:
        return OwnedHost("team", f"{self.home}/.dobby", self.owner)


class OwnedHost(Host):
    """The owner's side of the host, looked at without dobby."""

    def __init__(self, name: str, home: str, owner: str) -> None:
        super().__init__(name, home)
        self.owner = owner

    def run(self, argv: list[str], *, input: bytes = b"", check: bool = True) -> bytes:  # type: ignore[override]
        words = ["sudo", "-n", "-u", self.owner, "-H", "--", *argv]
        return subprocess.run(words, input=input, stdout=subprocess.PIPE, check=check, cwd="/").stdout


@pytest.fixture(scope="module")
def accounts(sshd: sshd_module.Sshd) -> Iterator[Team]:
    if not shutil.which("sudo"):
        pytest.skip("there is no sudo here: install sudo")
    rules = "/etc/sudoers.d/" + sshd.user
    with sshd_module.account() as (owner, _), sshd_module.serve(secrets.token_hex(8)) as bob:
        team = Team(owner, sshd, bob, rules)
        try:
            yield team
        finally:
            Path(rules).unlink(missing_ok=True)
            left = leftovers.reap("", pwd.getpwnam(owner).pw_uid)
        assert not left, f"left running by {owner}: {left}"


@pytest.fixture
def team(accounts: Team) -> Team:
    accounts.allow()
    os.chmod(accounts.alice.home, 0o700)
    empty(f"{accounts.home}/.dobby")
    empty(f"{accounts.alice.home}/.dobby")
    return accounts


@pytest.fixture
def person(team: Team, repo: Repo, tmp_path: Path) -> Callable[..., Client]:
    """`person(sshd, user)`: a laptop whose user logs in there, and becomes the owner."""

    def make(sshd: sshd_module.Sshd, user: str = "", become: str = team.owner) -> Client:
        config = tmp_path / f"config-{sshd.user}-{become}.toml"
        environ = {**os.environ, **sshd.env, "DOBBY_CONFIG": str(config), "USER": user or sshd.user}
        config.touch()
        client = Client(cwd=repo.path, environ=environ)
        client.hosts.add("team", sshd.destination, become=become)
        return client

    return make


@pytest.mark.parametrize("rule", ["", "Defaults use_pty"])
def test_the_jobs_are_the_owner_s(team: Team, person: Callable[..., Client], rule: str) -> None:
    team.allow(rule)
    row, said = finished(person(team.alice), team.host(), 'id -un; echo "$HOME"; env | grep -c ^SUDO_')
    assert said.decode().split() == [team.owner, team.home, "0"]
    assert (row["status"], row["user"], row["login"]) == ("failed", team.alice.user, team.alice.user)
    assert row["label"] == f"{team.alice.user}-main"
    assert not os.path.exists(f"{team.alice.home}/.dobby/projects")


@pytest.mark.parametrize("rsync", [True, False])
def test_outputs_come_back(
    team: Team, person: Callable[..., Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rsync: bool
) -> None:
    client = person(team.alice)
    row, _ = finished(client, team.host(), "echo made > $DOBBY_OUTPUTS/made; echo in > here")
    went: list[bool] = []
    real = fetching._rsync

    def by_rsync(*args: Any) -> bool:
        went.append(rsync and real(*args))
        return went[-1]

    monkeypatch.setattr("dobby.client.fetching._rsync", by_rsync)
    client.fetch(row["label"], host="team", to=str(tmp_path / "got"))
    client.fetch(row["label"], ["here"], host="team", to=str(tmp_path / "got"))
    assert [(tmp_path / "got" / name).read_text() for name in ("made", "here")] == ["made\n", "in\n"]
    assert went == [rsync, rsync]


def test_a_shell_is_the_owner_s(
    team: Team, person: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = person(team.alice)
    row, _ = finished(client, team.host(), "true", label="etl")
    for name in ("DOBBY_CONFIG", "USER", "DOBBY_SSH"):
        monkeypatch.setenv(name, client._environ[name])
    terminal = Terminal(client._cwd, "etl", "team")
    terminal.type('echo "I am $(id -un) in $PWD"; exit 5')
    terminal.expect(f"I am {team.owner} in {team.home}/.dobby/projects/{row['project']}/jobs/etl/sandbox")
    assert terminal.exit_code() == 5


def test_another_stops_it_and_the_notice_says_who(team: Team, person: Callable[..., Client]) -> None:
    host, alice, bob = team.host(), person(team.alice, "ann"), person(team.bob)
    with hook.serve() as team_channel:
        hook.configure(host, hook.table("team", team_channel))
        run = launch(alice, host, "echo $$ >> $DOBBY_OUTPUTS/pids; sleep 600", label="etl")
        run.pids()
        row = bob.stop("etl", host="team")
        assert row["cause"] == {"kind": "stopped", "by": team.bob.user}
        told = team_channel.wait("stopped")["run"]
    assert (told["user"], told["login"]) == ("ann", team.alice.user)
    assert told["cause"]["by"] == team.bob.user
    for name in ("ann", team.alice.user, team.bob.user):
        assert [r["run_id"] for r in bob.history(user=name, host="team").runs] == [run.run.run_id]


def test_what_another_says_of_themselves_stands_beside_their_login(
    team: Team, person: Callable[..., Client]
) -> None:
    run = launch(person(team.alice), team.host(), "sleep 600", label="etl")
    row = person(team.bob, "somebody").stop("etl", host="team")
    assert row["cause"]["by"] == f"somebody ({team.bob.user})"
    assert run.row()["status"] == "stopped"


def test_who_has_an_account_of_their_own_does_not_see_it(team: Team, person: Callable[..., Client]) -> None:
    run = launch(person(team.alice), team.host(), "sleep 600", label="etl")
    with pytest.raises(dobby.NotFound):
        person(team.bob, become="").stop("etl", host="team")
    assert run.stop()["status"] == "stopped"


@pytest.mark.parametrize(
    ("rules", "become", "message", "hint"),
    [
        (["# none"], "", "sudo does not let you work as", "NOPASSWD"),
        (["# none"], "nobody-of-this-name", "has no account nobody-of-this-name", "useradd"),
    ],
)
def test_why_sudo_refuses(
    team: Team, person: Callable[..., Client], rules: list[str], become: str, message: str, hint: str
) -> None:
    sshd_module.write(team.rules, rules, 0o440)
    with pytest.raises(dobby.Unreachable, match=message) as failed:
        launch(person(team.alice, become=become or team.owner), team.host(), "true")
    assert hint in failed.value.hint
    assert "\n" not in failed.value.message
    assert "umask" not in failed.value.message


def test_a_secret_is_in_no_argument_and_no_file(
    team: Team, person: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = person(team.alice)
    client._environ["TOKEN"] = "s3cr3t-canary"
    _, said = finished(client, team.host(), "echo ${#TOKEN}", env=["TOKEN"])
    assert said == b"13\n"
    found = team.host().run(["grep", "-rlI", "s3cr3t-canary", f"{team.home}/.dobby"], check=False)
    assert found.decode().split() == []


def test_a_forwarded_agent_would_not_reach_the_account(team: Team, person: Callable[..., Client]) -> None:
    with pytest.raises(dobby.UsageError, match=f"the ssh agent of {team.alice.user} cannot be reached"):
        launch(person(team.alice), team.host(), "true", forward_agent=True)
