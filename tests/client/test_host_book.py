"""Hosts by name: in the user's own settings, and a crontab line on the host that looks unasked."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
import tomllib
from tests.client import hook as hooks
from tests.client.carried import kill_unseen, launch
from tests.wait import until

from dobby import Client
from dobby.agent import crontab as cron
from dobby.client import state
from dobby.core.errors import DobbyError, NotFound, UsageError
from dobby.views.table import of_hosts, of_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)
THEIRS = '# mine\ngrace = "5s"  # patient\n\n[host.old]\nssh = "me@old"\nbecome = "svc"\n'
# What crontab(1) does, with a file in place of the account's spool.
CRONTAB = """\
#!/bin/sh
if [ "$1" = -l ]; then
    [ -e {0}.tab ] || {{ echo "no crontab for tester" >&2; exit 1; }}
    exec cat {0}.tab
fi
[ "$1" = - ] && exec cat > {0}.tab
exit 2
"""


@pytest.fixture
def settings(isolated: Path) -> Path:
    folder = isolated / ".config/dobby"
    folder.mkdir(parents=True)
    return folder / "config.toml"


@pytest.fixture
def client(repo: Repo) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The account's table, under a crontab of our own: a real one would be the tester's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "crontab").write_text(CRONTAB.format(shlex.quote(str(folder / "crontab"))))
    (folder / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "crontab.tab"


@pytest.fixture
def watching(crontab: Path, repo: Repo) -> Client:
    """A client whose own machine has that crontab."""
    return Client(cwd=repo.path)


# --- the user's settings ---------------------------------------------------------------------


def test_a_host_is_added_and_the_rest_of_the_file_stays(client: Client, settings: Path) -> None:
    settings.write_text(THEIRS)
    settings.chmod(0o640)
    done = client.hosts.add("big", "me@big.example")
    assert (done["added"], done["ssh"], done["note"]) == (True, "me@big.example", "")
    assert settings.read_text() == f'{THEIRS}\n[host.big]\nssh = "me@big.example"\n'
    assert stat.S_IMODE(settings.stat().st_mode) == 0o640
    assert client.settings().hosts["big"].ssh == "me@big.example"
    assert client.settings().hosts["old"].become == "svc"


def test_the_first_host_makes_the_file(client: Client, isolated: Path) -> None:
    assert client.hosts.add("gpu")["ssh"] == "gpu"
    file = isolated / ".config/dobby/config.toml"
    assert tomllib.loads(file.read_text()) == {"host": {"gpu": {"ssh": "gpu"}}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_added_twice_it_stays_as_it_is(client: Client, settings: Path) -> None:
    settings.write_text(THEIRS)
    assert not client.hosts.add("old")["added"]
    assert not client.hosts.add("old", "me@old")["added"]
    assert settings.read_text() == THEIRS
    with pytest.raises(UsageError, match="there already, as me@old"):
        client.hosts.add("old", "other@old")


def test_the_account_that_owns_the_jobs_is_written_and_listed(client: Client, settings: Path) -> None:
    done = client.hosts.add("team", "me@big", become="svc")
    assert (done["added"], done["become"]) == (True, "svc")
    assert settings.read_text() == '[host.team]\nssh = "me@big"\nbecome = "svc"\n'
    for again in (None, "svc"):
        assert client.hosts.add("team", become=again)["become"] == "svc"
    for other in ("", "root"):
        with pytest.raises(UsageError, match="there already, as me@big, become = svc"):
            client.hosts.add("team", become=other)
    listed, settled = of_hosts(client.hosts.list()), of_settings(client.settings(), ())
    assert listed.plain().splitlines()[-1].split() == ["team", "me@big", "svc", "added,", "shared"]
    assert settled.plain().splitlines()[-1].split()[:2] == ["host.team.become", "svc"]


@pytest.mark.parametrize("name", ["gpu", "local"])
def test_an_account_that_is_none_is_refused(client: Client, settings: Path, name: str) -> None:
    with pytest.raises(UsageError):
        client.hosts.add(name, become="svc; id" if name == "gpu" else "svc")
    assert not settings.exists()


@pytest.mark.parametrize("name", ["../x", "-oProxyCommand=x", "a b", "", "a\x1b[2J", "ssh://x"])
def test_a_name_that_is_none_is_refused(client: Client, settings: Path, name: str) -> None:
    with pytest.raises(UsageError):
        client.hosts.add(name)
    assert not settings.exists()


@pytest.mark.parametrize("destination", ["-oProxyCommand=x", "a b", "a;b", "x\ny"])
def test_a_destination_that_is_none_is_refused(client: Client, settings: Path, destination: str) -> None:
    with pytest.raises(UsageError, match="no ssh destination"):
        client.hosts.add("gpu", destination)
    assert not settings.exists()


def test_a_default_host_in_the_old_form_is_explained(client: Client, settings: Path) -> None:
    settings.write_text('host = "gpu"\n')
    with pytest.raises(DobbyError) as caught:
        client.hosts.add("big")
    assert "default = true" in caught.value.hint
    assert settings.read_text() == 'host = "gpu"\n'


def test_all_that_are_known_are_listed(client: Client, settings: Path) -> None:
    settings.write_text(THEIRS)
    state.remember(os.environ, "used", "shop", "etl")
    found = {one.pop("host"): one for one in client.hosts.list()}
    own, team = {"become": "", "shared": False}, {"become": "svc", "shared": True}
    assert found == {
        "local": {"ssh": "", **own, "added": False, "used": False, "default": True},
        "old": {"ssh": "me@old", **team, "added": True, "used": False, "default": False},
        "used": {"ssh": "used", **own, "added": False, "used": True, "default": False},
    }


def test_a_removed_host_is_forgotten(client: Client, settings: Path) -> None:
    settings.write_text(THEIRS)
    state.remember(os.environ, "old", "shop", "etl")
    state.remember(os.environ, "other", "shop", "web")
    done = client.hosts.remove("old")
    assert done == {"host": "old", "removed": True, "unwatched": False, "purged": None}
    assert settings.read_text() == '# mine\ngrace = "5s"  # patient\n\n'
    assert state.known_hosts(os.environ) == ["other"]
    assert state.last_host(os.environ, "shop", "etl") == ""
    assert state.last_host(os.environ, "shop", "web") == "other"
    with pytest.raises(NotFound, match="no host old"):
        client.hosts.remove("old")


# --- the host's crontab ----------------------------------------------------------------------


def test_a_watch_keeps_other_lines_and_goes_again(
    watching: Client, isolated: Path, crontab: Path, settings: Path
) -> None:
    theirs = "# backups\n5 4 * * * backup 100\\% # dobby\n"
    crontab.write_text(theirs)
    for _ in range(2):  # twice changes nothing
        watching.hosts.add("local", watch=True)
        ours = crontab.read_text().removeprefix(theirs).splitlines()
        assert [line.split(" ")[0] for line in ours] == ["@reboot", "*/5"]
        assert crontab.read_text().startswith(theirs)
    script = isolated / ".dobby/watch"
    assert stat.S_IMODE(script.stat().st_mode) == 0o700
    assert watching.hosts.remove("local", watch=True)["unwatched"]
    assert crontab.read_text() == theirs
    assert not settings.exists()


def test_a_host_without_cron_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The agent itself, because a cron that is here stands where every cron does."""
    monkeypatch.setattr(cron, "_CRON_PATH", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DobbyError, match="has no cron"):
        cron.install(str(tmp_path))
    assert not cron.remove(str(tmp_path))
    assert not cron.state(str(tmp_path))["program"]


def test_what_crontab_says_is_passed_on(watching: Client, crontab: Path) -> None:
    program = crontab.with_suffix("")
    program.write_text("#!/bin/sh\necho 'you (x) are not allowed to use this program' >&2\nexit 1\n")
    with pytest.raises(DobbyError, match="not allowed to use this program"):
        watching.hosts.add("local", watch=True)


def test_lines_that_cannot_be_read_are_not_written_over(watching: Client, crontab: Path) -> None:
    crontab.write_text("5 4 * * * backup\n")
    program = crontab.with_suffix("")
    program.write_text(program.read_text().replace("exec cat", "exit 1; cat", 1))
    with pytest.raises(DobbyError, match="gave no reason"):
        watching.hosts.add("local", watch=True)
    assert crontab.read_text() == "5 4 * * * backup\n"


def run_line(line: str) -> subprocess.CompletedProcess[bytes]:
    """As cron runs it: a bare environment, and % unescaped."""
    command = line.split(" ", 5 if line.startswith("*") else 1)[-1].replace("\\%", "%")
    env = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    return subprocess.run(["/bin/sh", "-c", command], env=env, cwd="/", check=False)


@LOCAL
@pytest.mark.parametrize("home", ["plain", "100% it's\tdobby"])
def test_with_everything_killed_cron_alone_settles_and_tells(
    repo: Repo,
    host: Host,
    crontab: Path,
    isolated: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: str,
) -> None:
    host.home = str(isolated / home)
    monkeypatch.setenv("DOBBY_HOME", host.home)
    client = Client(cwd=repo.path)
    with hooks.serve() as hook:
        client.channels.add("team", "webhook", ask=lambda _: [f"url={hook.url}"])
        client.hosts.add("local", watch=True)
        run = launch(client, host, 'echo $$ > "$DOBBY_OUTPUTS/pids"; exec sleep 600')
        pids = run.pids()
        kill_unseen(host, run.supervisor(), run.wrapper(), *pids)
        assert hook.of_run(run.run.run_id) in ([], ["started"])
        line = crontab.read_text().splitlines()[-1]
        assert run_line(line).returncode == 0
        told = hook.wait("lost")
        assert told["run"]["cause"] == {"kind": "supervisor_killed"}
        until(lambda: not os.listdir(f"{host.home}/outbox"), 20)
        assert run_line(line).returncode == 0
        assert hook.of_run(run.run.run_id).count("lost") == 1
