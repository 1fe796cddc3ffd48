"""What the tests' own fixtures promise."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from tests import leftovers, sshd, wait

from dobby import local

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Host
    from tests.gitrepo import Repo


def test_every_test_has_an_account_of_its_own(isolated: Path, repo: Repo) -> None:
    assert os.path.expanduser("~") == str(isolated)
    assert repo.git("config", "--show-origin", "user.email").startswith(f"file:{isolated}/.gitconfig")
    assert repo.git("describe", "main") == "v1-1-g" + repo.git("rev-parse", "--short", "main")


def test_commands_reach_the_host_byte_for_byte(host: Host) -> None:
    words = ["it's", "a b", "$HOME", "x\ny", ""]
    assert host.run(["printf", "%s|", *words]).decode() == "|".join([*words, ""])


def test_sshd_serves_an_unprivileged_account(sshd: sshd.Sshd) -> None:
    assert int(sshd.run(["id", "-u"]).stdout) == (sshd.uid or os.getuid()) != 0
    assert sshd.run(["sh", "-c", "echo $HOME"]).stdout.decode().strip() == sshd.home


def test_sshd_dies_with_its_sessions_and_comes_back_on_the_same_port() -> None:
    if sshd.program() is None:
        pytest.skip("there is no sshd here: install openssh-server")
    with sshd.serve("of-this-test") as own:
        session = subprocess.Popen(
            [own.ssh, own.destination, "echo up; exec sleep 60"], stdout=subprocess.PIPE
        )
        assert session.stdout
        assert session.stdout.readline() == b"up\n"
        own.stop()
        assert session.wait(10) == 255
        session.stdout.close()
        wait.until(lambda: [p for p in leftovers.alive("of-this-test", own.uid) if "sleep" in p.words])
        leftovers.reap("of-this-test", own.uid, grace_s=0.1)
        port = own.port
        own.start()
        assert own.port == port
        assert own.run(["echo", "again"]).stdout == b"again\n"
        user = own.user
    if os.getuid() == 0:
        with pytest.raises(KeyError):
            pwd.getpwnam(user)


def test_processes_left_behind_are_named_and_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = secrets.token_hex(8)  # another session may run this test at the same time
    monkeypatch.setenv(leftovers.MARK, mark)
    child = subprocess.Popen(["sleep", "61"])
    (left,) = wait.until(lambda: [p for p in leftovers.alive(mark) if p.name == "sleep"])
    assert left.pid == child.pid
    (said,) = leftovers.reap(mark, grace_s=0.05)
    assert "sleep 61" in said
    assert "test_processes_left_behind" in said
    assert child.wait(5) == -9
    assert leftovers.alive(mark) == []


def test_until_shows_the_last_evidence() -> None:
    seen = iter(range(1000))
    with pytest.raises(AssertionError, match=r"not within 0\.02 s; last seen: the log"):
        wait.until(lambda: next(seen) < 0, timeout=0.02, evidence=lambda: "the log")

    def not_yet() -> bool:
        assert next(seen) < 0, "still counting"
        return True

    with pytest.raises(AssertionError, match="still counting"):
        wait.until(not_yet, timeout=0.02)


def test_a_session_that_leaves_a_process_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests import leftovers\nleftovers.GRACE_S = 0.1\n")
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
        import subprocess

        def test_leaves_one():
            subprocess.Popen(["sh", "-c", "sleep 62 & exec 1>&- 2>&-"]).wait()
        """)
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
    result = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout
    assert "left running by tests" in result.stdout
    assert "sleep 62" in result.stdout


def test_what_dobby_starts_on_this_machine_carries_the_mark() -> None:
    with open(os.devnull, "wb") as nowhere:
        agent = local.Local(os.environ).start(nowhere.fileno())
    try:
        wait.until(lambda: agent.pid in [p.pid for p in leftovers.alive(os.environ[leftovers.MARK])])
    finally:
        agent.stdin.close()
        agent.stdout.close()
        assert agent.ends(10)
