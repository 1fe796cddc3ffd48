"""Jobs in containers: a real podman, as root here and rootless behind ssh."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tests import containers, leftovers
from tests.client.carried import Carried, is_alive, kill, launch
from tests.client.drive import finished, output
from tests.client.test_shell import Terminal
from tests.containers import IMAGE, Podman
from tests.wait import until

from dobby import Client
from dobby.agent import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

INSIDE = f"container:{IMAGE}"


@pytest.fixture
def podman(host: Host) -> Iterator[Podman]:
    yield from containers.serve(host)


@pytest.fixture
def client(repo: Repo, podman: Podman) -> Client:
    repo.commit("to be built", {"Containerfile": f"FROM {IMAGE}\nENV BUILT=here\n"})
    return Client(cwd=repo.path)


def test_a_command_runs_in_an_image_as_the_account(
    client: Client, repo: Repo, host: Host, podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "a\nb'\"$c ")
    client = Client(cwd=repo.path)
    command = (
        'printf "%s|" "$TOKEN" "$XDG_RUNTIME_DIR" "$DOBBY_LABEL" "$(id -u)" "$(pwd)"; '
        "touch made $HOME/kept; echo two >&2; echo mine > $DOBBY_OUTPUTS/mine; exit 7"
    )
    env = ["TOKEN", "XDG_RUNTIME_DIR=/nowhere"]
    row, said = finished(client, host, command, environment=(INSIDE,), env=env, label="etl")
    assert row["cause"] == {"kind": "exit", "code": 7}
    job = f"{host.home}/projects/project/jobs/etl"
    uid = os.stat(f"{job}/sandbox").st_uid
    assert said == f"a\nb'\"$c |/nowhere|etl|{uid}|{job}/sandbox|two\n".encode()
    made = (f"{job}/sandbox/made", f"{job}/runs/{row['run_id']}/outputs/mine")
    assert [os.stat(path).st_uid for path in made] == [uid, uid]
    assert podman.containers() == []
    assert not os.path.exists(f"{job}/runs/{row['run_id']}/container.json")


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_signal_is_told_as_one(client: Client, host: Host) -> None:
    row, said = finished(client, host, "kill -SEGV $$", environment=(INSIDE,))
    assert (row["cause"]["kind"], row["cause"]["name"], said) == ("signal", "SIGSEGV", b"")


def test_an_image_is_built_and_goes_with_the_job(client: Client, host: Host, podman: Podman) -> None:
    options = {"environment": ("container",), "setup": 'echo "$BUILT" > made', "label": "built"}
    row, said = finished(client, host, 'cat made; echo "$BUILT"', **options)
    assert (row["status"], said) == ("succeeded", b"here\nhere\n")
    images = podman("images", "--format", "{{.Repository}}").split()
    assert any(name.startswith("localhost/dobby-") for name in images)
    client.clean(["built"], host=host.name)
    left = set(podman("images", "--format", "{{.Repository}}").split())
    assert left - {"<none>"} == {IMAGE.partition(":")[0]}  # without a name: layers, the engine's own cache


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_build_that_fails_says_where(client: Client, host: Host, repo: Repo) -> None:
    repo.commit("not to be built", {"Containerfile": f"FROM {IMAGE}\nRUN echo no luck; exit 9\n"})
    row, _ = finished(client, host, "true", environment=("container",))
    cause = row["cause"]
    assert (cause["kind"], cause["step"]) == ("environment", "environment")
    assert " build " in cause["command"]
    assert "no luck" in cause["tail"]


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_host_without_an_engine_says_so(client: Client, host: Host, podman: Podman) -> None:
    tools = os.path.dirname(shutil.which("git") or "")
    podman.variables["PATH"] = f"{podman.variables['CONTAINERS_CONF']}.d"
    os.mkdir(podman.variables["PATH"], 0o755)
    for name in ("git", "bash", "sh"):
        os.symlink(f"{tools}/{name}", f"{podman.variables['PATH']}/{name}")
    with open(f"{host.home}/config.toml", "w") as file:
        file.write(podman.settings())
    row, _ = finished(client, host, "true", environment=(INSIDE,))
    assert row["cause"]["tail"].startswith("the host has neither podman nor docker in PATH")


DEAF = [("local", "carried"), ("ssh", "orphaned"), ("ssh", "engine")]


def started(client: Client, host: Host, command: str) -> Carried:
    run = launch(client, host, command, environment=(INSIDE,), grace="0.5s")
    until(lambda: b"up" in output_so_far(client, run), timeout=20)
    return run


def output_so_far(client: Client, run: Carried) -> bytes:
    said = bytearray()
    client.logs(run.run.label, said.extend, host=run.run.host, run=run.run.run_id)
    return bytes(said)


def test_a_stop_reaches_the_command(client: Client, host: Host, podman: Podman) -> None:
    command = "trap 'echo bye; exit 3' INT; echo up; while :; do sleep 0.05; done"
    run = started(client, host, command)
    row = client.stop(run.run.label, host=host.name)
    assert row["status"] == "stopped"
    assert output(client, run.run)[1] == b"up\nbye\n"
    assert podman.containers() == []


@pytest.mark.parametrize(("host", "left"), DEAF, indirect=["host"])
def test_a_deaf_container_is_ended_whoever_lives(
    client: Client, host: Host, podman: Podman, left: str
) -> None:
    nap = f"sleep 9{os.getpid()}"
    run = started(client, host, f"trap '' INT TERM; env -i bash -c '{nap} & {nap}' & echo up; wait")
    argv = nap.replace(" ", "\0").encode() + b"\0"

    def both() -> list[int]:
        found = [p for p in pids() if leftovers.cmdline(p) == argv]
        return found if len(found) == 2 else []

    inside = until(both)  # one is forked, and only then becomes `sleep`
    if left == "orphaned":
        kill(run.supervisor())
        kill(run.wrapper())
    elif left == "engine":
        named = [p for p in pids() if run.run.run_id.encode() in leftovers.cmdline(p)]
        kill(*(p for p in named if b"podman\0run" in leftovers.cmdline(p)))
    client.stop(run.run.label, host=host.name)
    assert [p for p in inside if is_alive(p)] == []
    assert podman.containers() == []
    assert launch(client, host, "true").wait()["status"] == "succeeded"


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_shell_is_a_container_too(client: Client, host: Host, repo: Repo, podman: Podman) -> None:
    finished(client, host, "true", environment=(INSIDE,), label="main")
    terminal = Terminal(repo.path, "main", host.name)
    terminal.type("pwd; touch $(id -u).by; exit 3")
    terminal.expect("jobs/main/sandbox")
    assert terminal.exit_code() == 3
    assert podman.containers() == []


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_its_engine_limits_it(client: Client, host: Host) -> None:
    if cgroups.parents(["memory", "cpu"]) is None:
        pytest.skip("no cgroup with a limit may be made here")
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    row, said = finished(client, host, f"cat {files} 2>/dev/null", environment=(INSIDE,), memory="64M")
    assert said == b"%d\n" % (64 << 20)
    assert row["usage"]["peak_memory_bytes"] is row["usage"]["cpu_s"] is None
    assert row["usage"]["disk_bytes"] == row["log_bytes"]
