"""What every room of the tests shares: an account of its own, real repositories, a real sshd.

    isolated   (every test) HOME, git's and dobby's settings are empty and the test's own
    make_repo  a factory of small git repositories; `repo` is one of them
    sshd       a real sshd with an account behind it, one for the session
    host       "local" and "ssh" in turn: the same test over both

At the end of the session no process that a test started may be alive.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import hypothesis
import pytest
from tests import gitrepo, leftovers
from tests import sshd as sshd_module
from tests.wait import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# What a developer's shell may hold and a test must not see.
LEAKS = ("DOBBY_", "XDG_", "SSH_", "CONDA_", "UV_", "PYTHON", "PYENV_", "VIRTUAL_ENV", "BASH_ENV")
LEAK_NAMES = ("EMAIL", "EDITOR", "VISUAL", "PAGER", "NO_COLOR", "FORCE_COLOR", "ENV")
KEPT = ("GIT_SSL_CAINFO",)  # where git finds a company's certificates: nothing that steers it

GIT_CONFIG = """\
[user]
	name = A Tester
	email = tester@example.org
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
"""

SESSION = secrets.token_hex(8)


def pytest_configure() -> None:
    """All that this process starts inherits the mark by which it is found at the end.

    Property tests have no deadline, because the machine may be busy; in CI they try the same
    examples each time, so that a change is judged by what it changes."""
    os.environ[leftovers.MARK] = SESSION
    # A shell ignores it for what it starts in the background, and all that a test starts would.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    in_ci = bool(os.environ.get("CI"))
    hypothesis.settings.register_profile("dobby", deadline=None, derandomize=in_ci, max_examples=60)
    hypothesis.settings.load_profile("dobby")


class Host:
    """Where a client test runs: `name` for -H; `home` is dobby's directory there."""

    def __init__(self, name: str, home: str, sshd: sshd_module.Sshd | None = None) -> None:
        self.name, self.home, self.sshd = name, home, sshd

    def run(self, argv: Sequence[str], *, input: bytes = b"", check: bool = True) -> bytes:
        """stdout of a program on the host, in the account that runs the jobs."""
        if self.sshd:
            return self.sshd.run(argv, input=input, check=check).stdout
        return subprocess.run(argv, input=input, stdout=subprocess.PIPE, check=check).stdout


@pytest.fixture(scope="session", autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    left = leftovers.reap(SESSION)
    assert not left, f"left running by tests: {'; '.join(left)}"


@pytest.fixture(scope="session")
def _runtime_dir() -> Iterator[str]:
    """XDG_RUNTIME_DIR: short, because sockets are made in it, and one for the session, so that
    connections are shared between tests as they are between a user's commands."""
    directory = tempfile.mkdtemp(prefix="dt-")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every account would make anew, half a second each time: the packed agent (`cache`), and
    the one that is installed (`agent`)."""
    return tmp_path_factory.mktemp("made")


def _copy(source: Path, target: Path, pattern: str) -> None:
    for found in source.glob(pattern) if source.is_dir() else ():
        target.mkdir(0o700, parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, target / found.name)
        else:
            shutil.copy2(found, target / found.name)


@pytest.fixture(autouse=True)
def isolated(
    monkeypatch: pytest.MonkeyPatch, _homes: Iterator[Path], _runtime_dir: str, _made: Path
) -> Iterator[Path]:
    """HOME of this test alone: an account with a git identity, and dobby packed. Returns its path."""
    home = next(_homes)
    home.mkdir(0o700)
    cache = home / ".cache" / "dobby"
    _copy(_made / "cache", cache, "*")
    for name in list(os.environ):
        git = name.startswith("GIT_") and name not in KEPT
        if name.startswith(LEAKS) or name in LEAK_NAMES or git:
            monkeypatch.delenv(name)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    for name, value in {
        "HOME": str(home),
        "DOBBY_HOME": str(home / ".dobby"),
        "XDG_RUNTIME_DIR": _runtime_dir,
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": _plain_path(os.environ["PATH"]),
    }.items():
        monkeypatch.setenv(name, value)
    yield home
    if not (_made / "cache").is_dir():
        _copy(cache, _made / "cache", "agent-*")
        _copy(cache, _made / "cache", "*.zip")


def _plain_path(path: str) -> str:
    """PATH without version managers' shims, which cost 60 ms and read the real HOME."""
    kept = [d for d in path.split(os.pathsep) if os.path.basename(d) != "shims"]
    if not shutil.which("python3", path=os.pathsep.join(kept)):
        kept.insert(0, os.path.dirname(os.path.realpath(sys.executable)))
    return os.pathsep.join(kept)


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., gitrepo.Repo]:
    """`make_repo(name="project", object_format="sha1")`: see `gitrepo.example`."""

    def make(name: str = "project", object_format: str = "sha1") -> gitrepo.Repo:
        return gitrepo.example(str(tmp_path / name), object_format)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., gitrepo.Repo]) -> gitrepo.Repo:
    """A repository named `project` with a little history; see `gitrepo.example`."""
    return make_repo()


@pytest.fixture(scope="session")
def sshd() -> Iterator[sshd_module.Sshd]:
    """A real sshd with an account of its own, for the whole session."""
    if sshd_module.program() is None:
        pytest.skip("there is no sshd here: install openssh-server")
    with sshd_module.serve(SESSION) as running:
        yield running


# $HOSTS may name one of them: half the tests, for a machine that has little time.
@pytest.fixture(params=os.environ.get("HOSTS", "local ssh").split())
def host(
    request: pytest.FixtureRequest, isolated: Path, monkeypatch: pytest.MonkeyPatch, _made: Path
) -> Iterator[Host]:
    """A host with nothing on it but the agents of earlier tests."""
    if request.param == "local":
        agents = isolated / ".dobby" / "agent"
        _copy(_made / "agent", agents, "*")
        yield Host("local", str(isolated / ".dobby"))
        if not (_made / "agent").is_dir():
            _copy(agents, _made / "agent", "*")
        return
    sshd: sshd_module.Sshd = request.getfixturevalue("sshd")
    for name, value in sshd.env.items():
        monkeypatch.setenv(name, value)
    home = f"{sshd.home}/.dobby"
    empty(home)
    yield Host(sshd.destination, home, sshd)


def _await_rest(home: str) -> None:
    """A run that is over is tidied up after, a spare is made meanwhile, and a steward notes in the
    run's directory what became of its notices: all of them still write. A steward leaves when asked."""
    owner = os.stat(os.path.dirname(home)).st_uid

    def writers() -> list[str]:
        ours = owner == os.getuid()
        at_it = leftovers.alive(SESSION) if ours else leftovers.of_user(owner)
        leftovers.end_lingering(at_it)
        names = ("dobby-run", "dobby-spare", *leftovers.LINGERING)
        return [str(process) for process in at_it if process.name in names]

    until(lambda: not writers(), 20, evidence=lambda: f"an earlier test's: {writers()}")


def empty(home: str) -> None:
    """Remove what earlier tests left in dobby's directory, apart from its agents."""
    _await_rest(home)
    for path in glob.glob(f"{home}/*") + glob.glob(f"{home}/agent/*"):
        name = os.path.basename(path)
        if path == f"{home}/agent" or re.fullmatch("[0-9a-f]{64}", name):
            continue
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
