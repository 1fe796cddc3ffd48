"""The agent arrives on a host whole, and is mended there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import pythons
from tests.client.drive import agents, finished, launch, remove_agents
from tests.conftest import Host

import dobby
from dobby import Client, shipping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gitrepo import Repo


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path, lasting=False)


@pytest.fixture
def bare(host: Host) -> Iterator[Host]:
    """A host without any agent, and without ours afterwards."""
    remove_agents(host)
    yield host
    remove_agents(host)


# --- what is sent ------------------------------------------------------------------------------


def test_the_archive_is_named_by_its_digest_and_repeats(tmp_path: Path) -> None:
    agent = shipping.agent(str(tmp_path / "one"))
    again = shipping.agent(str(tmp_path / "two"))
    assert agent.digest == again.digest == hashlib.sha256(agent.archive()).hexdigest()
    assert len(agent.archive()) < 330_000  # it travels before a host's first run
    assert shipping.agent(str(tmp_path / "one")) == agent


@pytest.mark.parametrize("content", [b"", b"half"])
def test_an_archive_damaged_on_the_laptop_is_packed_again(tmp_path: Path, content: bytes) -> None:
    agent = shipping.agent(str(tmp_path))
    Path(agent.path).write_bytes(content)
    assert hashlib.sha256(shipping.agent(str(tmp_path)).archive()).hexdigest() == agent.digest


def test_an_agent_is_verified_private_and_compiled(client: Client, bare: Host) -> None:
    finished(client, bare, "true")
    (agent,) = agents(bare)
    assert os.listdir(f"{bare.home}/agent") == [os.path.basename(agent)]
    for base, folders, files in os.walk(agent):
        for name in (*folders, *files):
            assert os.stat(f"{base}/{name}").st_mode & 0o077 == 0
        assert not [n for n in files if n.endswith(".py")] or base == agent or "__pycache__" in folders
    with open(f"{agent}/python") as note:
        assert note.read().startswith("/")


@pytest.mark.parametrize("tail", [b"", b"x"], ids=["cut", "altered"])
def test_what_does_not_arrive_whole_is_refused(
    client: Client, bare: Host, monkeypatch: pytest.MonkeyPatch, tail: bytes
) -> None:
    with monkeypatch.context() as patched:
        whole = shipping.Agent.archive
        patched.setattr(shipping.Agent, "archive", lambda self: whole(self)[:-1] + tail)
        with pytest.raises(dobby.DobbyError, match="the agent did not arrive whole"):
            launch(client, bare, "true")
    assert agents(bare) == []
    assert finished(client, bare, "echo whole")[1] == b"whole\n"


@pytest.mark.parametrize(
    "damage",
    [
        *("altered", "empty", "no main", "no module", "not python", "interpreter gone", "altered unseen"),
        *("reader altered", "bundle cut", "bundle wrong", "bundle short", "bundle headless"),
    ],
)
def test_a_damaged_agent_is_sent_again(
    client: Client, bare: Host, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: where it says itself that it was altered, it takes what follows as the bootstrap does."""
    finished(client, bare, "true")
    sent, whole = [], shipping.Agent.archive

    def counted(agent: shipping.Agent) -> bytes:
        sent.append(damage)
        return whole(agent)

    monkeypatch.setattr(shipping.Agent, "archive", counted)
    (agent,) = agents(bare)
    names = {"altered": "core/names.py", "no module": "agent/wire.py", "reader altered": "agent/bundle.py"}
    path = f"{agent}/dobby/{names.get(damage, 'agent/main.py')}"
    before = _contents(agent)
    if damage in ("altered", "empty", "no module", "not python", "altered unseen"):  # else it does no harm
        os.unlink(_bundle(agent))
    if damage.startswith("bundle"):
        _damage(_bundle(agent), damage)
    elif damage == "no main":
        os.unlink(f"{agent}/main.py")
    elif damage == "interpreter gone":
        Path(f"{agent}/python").write_text("/nowhere/python3\n")
    elif damage == "no module":
        os.unlink(path)
    else:
        text = {"empty": "", "not python": "(((\n", "altered unseen": "raise OSError\n"}.get(
            damage, "# harmless\n"
        )
        made = os.stat(path).st_mtime
        Path(path).write_text(text)
        if damage == "altered unseen":
            os.utime(path, (made, made))
    row, said = finished(client, bare, "echo mended")
    assert (row["status"], said) == ("succeeded", b"mended\n")
    assert agents(bare) == [agent]
    assert _contents(agent) == before
    assert sent == [damage]


IMPORTS = """
import os, shutil, sys
top = sys.argv[1]
sys.path.insert(0, top)
from dobby.agent import bundle
bundle.use(top)
from dobby.agent import main
path = f"{top}/modules.{sys.implementation.cache_tag}"
shutil.copy2(path, path + ".new")
os.replace(path + ".new", path)
from dobby.agent.verbs import launch
bundle.settle()
from dobby.agent.verbs import purge
print(*(type(module.__spec__.loader).__name__ for module in (main, launch, purge)))
print(main.__file__ == f"{top}/dobby/agent/main.py", launch.__package__, main.run_verb.__code__.co_filename)
"""


def test_modules_come_from_one_file_as_long_as_it_is_the_same(client: Client, bare: Host) -> None:
    """A living supervisor's is replaced where an agent is sent again: offsets may then be others."""
    finished(client, bare, "true")
    (agent,) = agents(bare)
    with open(f"{agent}/python") as note:
        python = note.read().strip()
    said = subprocess.run([python, "-c", IMPORTS, agent], check=True, capture_output=True, text=True)
    assert said.stdout.splitlines() == [
        "Finder Finder SourceFileLoader",
        f"True dobby.agent.verbs {agent}/dobby/agent/main.py",
    ]


def _bundle(agent: str) -> str:
    (found,) = (name for name in os.listdir(agent) if name.startswith("modules."))
    return f"{agent}/{found}"


def _damage(bundle: str, damage: str) -> None:
    """Its date stays, as after a fault of the disk."""
    data, before = Path(bundle).read_bytes(), os.stat(bundle)
    half = len(data) // 2
    Path(bundle).write_bytes(
        {
            "bundle cut": data[:half],
            "bundle wrong": data[:half] + bytes(len(data) - half),
            "bundle short": data[:-1],  # of a module that most verbs do without
            "bundle headless": bytes(len(data)),
        }[damage]
    )
    os.utime(bundle, (before.st_mtime, before.st_mtime))


def _contents(agent: str) -> dict[str, str]:
    """Every source file, and the interpreter's note."""
    found = {}
    for base, _, files in os.walk(agent):
        for name in files:
            if not name.endswith(".pyc") and not name.startswith("modules."):
                found[f"{base}/{name}"] = Path(base, name).read_text()
    return found


def test_what_a_killed_installation_left_goes_in_time(client: Client, bare: Host) -> None:
    for name, age_s in (("old", 7200), ("young", 60)):
        left = f"{bare.home}/agent/{name}.1.new"
        bare.run(["mkdir", "-p", left])
        bare.run(["touch", "-d", f"{age_s} seconds ago", left])
    finished(client, bare, "true")
    assert sorted(n for n in os.listdir(f"{bare.home}/agent") if n.endswith(".new")) == ["young.1.new"]


# --- which interpreter ---------------------------------------------------------------------------


@pytest.mark.skipif(len(pythons.found()) < 2, reason="there is only one Python here")
@pytest.mark.parametrize(
    "line", ['python = "{}"', "python='{}'  # ours", 'path = []\npython   =  "{}" # "x"']
)
def test_the_hosts_setting_names_the_interpreter(repo: Repo, isolated: Path, line: str) -> None:
    """Also where an agent was there before the setting."""
    client, host = Client(cwd=repo.path), Host("local", str(isolated / ".dobby"))
    finished(client, host, "true")
    (before,) = {Path(agent, "python").read_text() for agent in agents(host)}
    other = next(path for path in pythons.found().values() if os.path.realpath(path) != before.strip())
    _write_settings(host, line.format(other))
    finished(client, host, "true")
    assert {Path(agent, "python").read_text().strip() for agent in agents(host)} == {
        os.path.realpath(other)
    }
    finished(client, host, "true")
    remove_agents(host)


def _write_settings(host: Host, text: str) -> None:
    host.run(["mkdir", "-p", host.home])
    host.run(["tee", f"{host.home}/config.toml"], input=text.encode() + b"\n")


def test_a_fresh_interpreter_needs_no_more_than_the_archive(tmp_path: Path) -> None:
    """The agent's modules import under -I -S from the archive alone."""
    archive = shipping.agent(str(tmp_path)).path
    program = "import sys; sys.path.insert(0, sys.argv[1]); import dobby.agent.main, dobby.agent.supervisor"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, archive], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
