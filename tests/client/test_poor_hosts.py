"""Hosts that lack something say what, where, and how to mend it; then the same command works."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import stewards
from tests.client.drive import agents, finished, launch, remove_agents
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def with_programs(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """`with_programs(**scripts)`: the host's PATH has only these (text of a script, or a path to
    link to), and it has no agent yet."""
    bin_dir = Path(host.sshd.home if host.sshd else tmp_path, "programs")
    bin_dir.mkdir(0o755)
    bashrc = Path(host.sshd.home, ".bashrc") if host.sshd else None
    before = bashrc.read_text() if bashrc else ""

    def set_up(**scripts: str) -> Path:
        for name, text in scripts.items():
            if text.startswith("#!"):
                (bin_dir / name).write_text(text)
                (bin_dir / name).chmod(0o755)
            else:
                (bin_dir / name).symlink_to(text)
        if bashrc:
            bashrc.write_text(f"export PATH={bin_dir}\n")
        else:
            monkeypatch.setenv("PATH", str(bin_dir))
        return bin_dir

    remove_agents(host)
    yield set_up
    shutil.rmtree(bin_dir)
    if bashrc:
        bashrc.write_text(before)


def _faults(client: Client, host: Host) -> dict[str, str]:
    """What `host check` says is bad, by the thing looked at; each with how to mend it."""
    checked = client.hosts.check(host.name, brief=True)[0]
    bad = [line for line in checked.lines if line.state == "bad"]
    assert all(line.mend for line in bad)
    assert checked.fit == (not bad)
    return {line.check: line.found for line in bad}


def _laptop(repo: Repo, host: Host) -> Client:
    """A client whose own PATH is whole while the host's, `local` too, is not."""
    client = Client(cwd=repo.path)
    os.environ["PATH"] = os.defpath + ":/usr/local/bin"
    return client


REAL = {"git": shutil.which("git") or "git", "python3": "/usr/bin/python3"}
NO_PYTHON = "no python3"
OLD_PYTHON = "only python3, older than 3.9"


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="no system Python to link to")
def test_no_python(repo: Repo, host: Host, with_programs: Callable[..., Path]) -> None:
    with_programs(git=REAL["git"])
    client = _laptop(repo, host)
    with pytest.raises(dobby.DobbyError, match=f"host {host.name} has {NO_PYTHON}") as failed:
        launch(client, host, "true")
    assert 'python = "/path/to/python3"' in failed.value.hint
    assert _faults(client, host) == {"python": f"host {host.name} has {NO_PYTHON}"}
    assert agents(host) == []


def test_a_python_that_is_too_old(repo: Repo, host: Host, with_programs: Callable[..., Path]) -> None:
    with_programs(git=REAL["git"], python3="#!/bin/sh\nexit 1\n")
    client = _laptop(repo, host)
    with pytest.raises(dobby.DobbyError, match=OLD_PYTHON):
        launch(client, host, "true")
    assert OLD_PYTHON in _faults(client, host)["python"]
    assert agents(host) == []


@pytest.mark.parametrize(
    ("git", "what"),
    [
        ("", "has no git"),
        (
            '#!/bin/sh\n[ "$1" = version ] && { echo git version 1.8.3.1; exit; }\nexit 129\n',
            "too old: git version 1.8",
        ),
    ],
    ids=["none", "old"],
)
def test_a_git_that_does_not_do(
    repo: Repo, host: Host, with_programs: Callable[..., Path], git: str, what: str
) -> None:
    programs = {"python3": REAL["python3"], **{n: f"/bin/{n}" for n in ("bash", "sh", "cat")}}
    bin_dir = with_programs(**programs, **({"git": git} if git else {}))
    client = _laptop(repo, host)
    with pytest.raises(dobby.DobbyError, match=what) as failed:
        launch(client, host, "true", run_id="r-1")
    assert "install git 2.25 or later there" in failed.value.hint
    assert "\n" not in failed.value.message
    faults = _faults(client, host)
    assert list(faults) == ["git"]
    assert what in faults["git"]
    (bin_dir / "git").unlink(missing_ok=True)
    (bin_dir / "git").symlink_to(REAL["git"])
    row, _ = finished(client, host, "true", run_id="r-1")
    assert row["status"] == "succeeded"


def _python_under(program: str) -> str:
    """A python3 whose agent, but not the look at its version, runs under another program."""
    return f'#!/bin/sh\n[ "$5" ] || exec {REAL["python3"]} "$@"\nexec {program} {REAL["python3"]} "$@"\n'


def test_a_filesystem_whose_locks_fail(repo: Repo, host: Host, with_programs: Callable[..., Path]) -> None:
    """Every flock of the agent's fails, as on some network filesystems."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace here")
    python = _python_under(f"{strace} -f -qq -o /dev/null -e inject=flock:error=ENOLCK")
    with_programs(git=REAL["git"], python3=python, **{n: f"/bin/{n}" for n in ("bash", "sh")})
    assert _faults(_laptop(repo, host), host) == {"locks": "do not work: No locks available"}


def test_a_clock_that_is_wrong(repo: Repo, host: Host, with_programs: Callable[..., Path]) -> None:
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("there is no faketime here")
    python = _python_under(f"{faketime} -f +1h")
    with_programs(git=REAL["git"], python3=python, **{n: f"/bin/{n}" for n in ("bash", "sh")})
    checked = _laptop(repo, host).hosts.check(host.name, brief=True)[0]
    clock = next(line for line in checked.lines if line.check == "clock")
    assert clock.state == "warning"
    assert clock.found in [f"{3600 + n} s ahead of this machine's" for n in (-1, 0, 1)]


@pytest.fixture
def filesystem(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """`filesystem(options)`: dobby's directory is on a tmpfs of its own, mounted so."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    place = f"{host.sshd.home}/place" if host.sshd else str(tmp_path / "place")
    os.mkdir(place)
    mounted: list[str] = []

    def mount(options: str) -> None:
        owner = f"uid={host.sshd.uid},gid={host.sshd.uid},mode=0700" if host.sshd else "mode=0700"
        if mounted:
            stewards.end(host.home)  # what it has open would keep the place writable
            again = ["mount", "-o", f"remount,{options}", place]
            until(lambda: subprocess.run(again, capture_output=True, check=False).returncode == 0)
            return
        first = ["mount", "-o", f"{owner},{options}", "-t", "tmpfs", "none", place]
        done = subprocess.run(first, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mount: {done.stderr.strip()}")
        mounted.append(place)

    bashrc = Path(host.sshd.home, ".bashrc") if host.sshd else None
    before = bashrc.read_text() if bashrc else ""
    if bashrc:
        bashrc.write_text(f"export DOBBY_HOME={place}/dobby\n{before}")
    monkeypatch.setenv("DOBBY_HOME", f"{place}/dobby")
    host.home = f"{place}/dobby"
    yield mount
    if bashrc:
        bashrc.write_text(before)
    if mounted:
        stewards.end(host.home)
        until(lambda: subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0)
    os.rmdir(place)


def test_a_home_that_is_full(repo: Repo, host: Host, filesystem: Callable[[str], None]) -> None:
    """Too small for the agent, then for the commits: a sentence each; with room the same goes."""
    repo.commit("large", {"large": os.urandom(3_000_000)})
    filesystem("size=128k")
    client = Client(cwd=repo.path)
    with pytest.raises(
        dobby.DobbyError, match=r"could not be put into .*/dobby on .*: No space left"
    ) as failed:
        launch(client, host, "true", run_id="r-1")
    assert "make room there" in failed.value.hint
    assert "No space left" in _faults(client, host)["agent"]
    assert os.listdir(os.path.dirname(host.home)) == []
    filesystem("size=5m")
    with pytest.raises(dobby.DobbyError, match=r"MB of disk left in .*/dobby, less than the 200 MB"):
        launch(client, host, "true", run_id="r-1")
    assert list(_faults(client, host)) == ["disk"]
    with pytest.raises(dobby.DobbyError, match=r"No space left|did not arrive whole") as failed:
        launch(client, host, "true", run_id="r-1", force=True)
    assert "\n" not in failed.value.message
    left = host.run(
        ["find", host.home, "-name", "*incoming*", "-o", "-name", "*.new*", "-o", "-name", "*.tmp"]
    )
    assert left == b""
    filesystem("size=400m")
    row, _ = finished(client, host, "true", run_id="r-1")
    assert row["status"] == "succeeded"


def test_a_home_with_room_for_few_files(repo: Repo, host: Host, filesystem: Callable[[str], None]) -> None:
    filesystem("size=400m,nr_inodes=2000")
    client = Client(cwd=repo.path)
    with pytest.raises(dobby.DobbyError, match=r"has room for 1\d\d\d more files in .*/dobby"):
        launch(client, host, "true", run_id="r-1")
    assert list(_faults(client, host)) == ["inodes"]
    assert finished(client, host, "true", run_id="r-1", force=True)[0]["status"] == "succeeded"


def test_a_home_that_is_read_only(repo: Repo, host: Host, filesystem: Callable[[str], None]) -> None:
    filesystem("size=400m")
    filesystem("ro")
    client = Client(cwd=repo.path)
    with pytest.raises(
        dobby.DobbyError, match=r"could not be put into .*/dobby on .*: Read-only"
    ) as failed:
        launch(client, host, "true")
    assert "set DOBBY_HOME on the host" in failed.value.hint
    filesystem("rw")
    assert finished(client, host, "echo now")[1] == b"now\n"
    filesystem("ro")
    with pytest.raises(dobby.DobbyError, match=r"Read-only file system: .* on "):
        launch(client, host, "true")
    faults = _faults(client, host)
    assert list(faults) == ["home", "locks"]
    assert "cannot be written: Read-only file system" in faults["home"]
    filesystem("rw")


def test_a_home_where_nothing_may_be_executed(
    repo: Repo, host: Host, filesystem: Callable[[str], None]
) -> None:
    filesystem("size=400m,noexec")
    client = Client(cwd=repo.path)
    row, said = finished(client, host, "cat hello.py | head -c 5")
    assert _faults(client, host) == {}
    assert (row["status"], said) == ("succeeded", b"print")
