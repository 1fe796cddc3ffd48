"""The main job, over `local` and over a real sshd: launch, log, end, and once more."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def client(repo: Repo, host: Host) -> Client:
    return Client(cwd=repo.path)


def launch(client: Client, host: Host, command: str, revision: str = "main", **options: Any) -> dobby.Run:
    return client.run(revision, command, **{"host": host.name, "environment": ("none",), **options})


def finished(client: Client, host: Host, command: str, **options: Any) -> tuple[dict[str, Any], bytes]:
    """The final row and the job's bytes."""
    run = launch(client, host, command, **options)
    said = bytearray()
    row = client.logs(run.label, said.extend, host=host.name, run=run.run_id, follow=True)
    return row, bytes(said)


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def test_a_branch_runs_and_its_output_comes_back(client: Client, host: Host, repo: Repo) -> None:
    row, said = finished(client, host, "git rev-parse HEAD; git branch --show-current; echo done")
    assert said.decode().split() == [repo.git("rev-parse", "main").strip(), "main", "done"]
    assert (row["status"], row["exit_code"], row["label"]) == ("succeeded", 0, "main")
    assert row["commit"] == repo.git("rev-parse", "main").strip()
    assert row["cause"] == {"kind": "exit", "code": 0}
    assert row["started_at"] <= row["finished_at"]


@pytest.mark.parametrize("code", [3, 127, 137, 255])
def test_an_exit_code_is_the_commands_own(client: Client, host: Host, code: int) -> None:
    row, _ = finished(client, host, f"exit {code}")
    assert (row["status"], row["exit_code"]) == ("failed", code)
    assert row["cause"] == {"kind": "exit", "code": code}


def test_a_signal_is_told_apart_from_a_code(client: Client, host: Host) -> None:
    row, _ = finished(client, host, "kill -9 $$")
    assert (row["status"], row["exit_code"]) == ("failed", None)
    assert row["cause"]["kind"] == "signal"
    assert row["cause"]["name"] == "SIGKILL"


def test_the_working_tree_travels_as_it_stands(client: Client, host: Host, repo: Repo) -> None:
    with open(f"{repo.path}/new file.txt", "w") as file:
        file.write("untracked")
    before = repo.git("status", "--porcelain")
    _, said = finished(client, host, "cat 'new file.txt'", revision=".")
    assert said == b"untracked"
    assert repo.git("status", "--porcelain") == before


def test_a_command_arrives_byte_for_byte(client: Client, host: Host) -> None:
    word = "a'b\"c$(touch x)`y`\\n\t\udcff;&|<>*"
    run = launch(client, host, 'printf %s "$WORD"', env=[f"WORD={word}"])
    said = bytearray()
    client.logs(run.label, said.extend, host=host.name, follow=True)
    assert bytes(said) == os.fsencode(word)


def test_the_job_finds_the_promised_variables(client: Client, host: Host) -> None:
    row, said = finished(client, host, "env -0 | grep -z ^DOBBY_")
    found = dict(entry.split("=", 1) for entry in said.decode().split("\0") if entry)
    assert found["DOBBY_RUN_ID"] == row["run_id"]
    assert found["DOBBY_LABEL"] == "main"
    assert found["DOBBY_PROJECT"] == row["project"]
    assert found["DOBBY_REVISION"] == "main"
    assert found["DOBBY_COMMIT"] == row["commit"]
    assert sorted(found) == sorted(
        f"DOBBY_{n}" for n in ["LABEL", "RUN_ID", "PROJECT", "REVISION", "COMMIT", "USER", "OUTPUTS"]
    )


def test_nothing_of_the_laptops_environment_leaks(
    repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "sings")
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    _, said = finished(Client(cwd=repo.path), host, "env")
    assert b"sings" not in said
    assert b"/nowhere" not in said


def test_a_forwarded_value_is_stored_nowhere(
    repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-canary")
    client = Client(cwd=repo.path)
    row, said = finished(client, host, 'printf "%s" "$TOKEN" | wc -c', env=["TOKEN"])
    assert said.strip() == b"13"
    found = host.run(["grep", "-rlI", "s3cr3t-canary", host.home], check=False)
    assert found == b""
    monkeypatch.delenv("TOKEN")
    with pytest.raises(dobby.UsageError, match="TOKEN was forwarded"):
        Client(cwd=repo.path).restart(row["label"], host=host.name)


def test_the_same_run_id_is_the_same_run(client: Client, host: Host) -> None:
    first = launch(client, host, "echo once >> $DOBBY_OUTPUTS/count", run_id="r-1")
    client.wait("main", host=host.name)
    again = launch(client, host, "echo once >> $DOBBY_OUTPUTS/count", run_id="r-1")
    assert again.already
    assert again.row["status"] == "succeeded"
    assert len(client.ps(all=True, host=host.name).runs) == 1
    assert first.run_id == again.run_id
    both = "another request: ([0-9a-f]{12}) was asked for first, now ([0-9a-f]{12})$"
    with pytest.raises(dobby.UsageError, match=both) as refused:
        launch(client, host, "echo other", run_id="r-1")
    assert len(set(re.search(both, refused.value.message).groups())) == 2  # type: ignore[union-attr]


def test_a_held_label_says_by_whom(client: Client, host: Host) -> None:
    launch(client, host, "sleep 60")
    with pytest.raises(
        dobby.Busy, match=r"main is busy: run .* (running|preparing) since .*, started by .* from "
    ) as busy:
        launch(client, host, "true")
    assert busy.value.exit_code == 75
    assert client.stop("main", host=host.name)["status"] == "stopped"


def test_two_clients_at_one_instant(repo: Repo, host: Host) -> None:
    won: list[str] = []
    refused: list[dobby.Busy] = []

    def one() -> None:
        try:
            won.append(launch(Client(cwd=repo.path), host, "sleep 60").run_id)
        except dobby.Busy as busy:
            refused.append(busy)

    launch(Client(cwd=repo.path), host, "true", label="warm")
    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 2)
    for busy in refused:
        assert (busy.exit_code, busy.details["holder"]["run_id"]) == (75, won[0])
        assert ", started by " in busy.message
    Client(cwd=repo.path).stop("main", host=host.name)


def test_queued_runs_come_in_their_order(client: Client, host: Host) -> None:
    gate = f"{host.home}/gate"
    first = launch(client, host, f"until [ -e {gate} ]; do sleep 0.02; done; echo 1 >> {gate}")
    others = [launch(client, host, f"echo {n} >> {gate}", if_running="queue").run_id for n in (2, 3, 4)]
    rows = {r["run_id"]: r for r in client.ps(host=host.name).runs}
    assert [rows[r]["status"] for r in others] == ["queued"] * 3
    assert rows[first.run_id]["status"] in ("preparing", "running")
    host.run(["touch", gate])
    assert client.wait("main", host=host.name, run=others[-1])["status"] == "succeeded"
    assert host.run(["cat", gate]).split() == [b"1", b"2", b"3", b"4"]


def test_a_queued_run_can_be_stopped(client: Client, host: Host) -> None:
    launch(client, host, "sleep 60")
    queued = launch(client, host, "touch $DOBBY_OUTPUTS/ran", if_running="queue")
    row = client.stop("main", host=host.name, run=queued.run_id)
    assert (row["status"], row["started_at"]) == ("stopped", None)
    assert client.find("main", host=host.name).row["status"] in ("preparing", "running")
    client.stop("main", host=host.name)


def test_replace_ends_the_run_before(client: Client, host: Host) -> None:
    first = launch(client, host, "sleep 60")
    second = launch(client, host, "echo new", if_running="replace")
    assert client.wait("main", host=host.name)["run_id"] == second.run_id
    assert client.find("main", host=host.name, run=first.run_id).row["status"] == "stopped"


def test_restart_takes_the_present_tip(client: Client, host: Host, repo: Repo) -> None:
    first = launch(client, host, "git rev-parse HEAD")
    client.wait("main", host=host.name)
    repo.commit("another")
    second = client.restart("main")
    assert second.row["commit"] == repo.git("rev-parse", "main").strip() != first.row["commit"]
    third = client.restart("main", run=first.run_id, same=True)
    assert third.row["commit"] == first.row["commit"]
    client.wait("main")


def test_outputs_are_kept_and_fetched(client: Client, host: Host, repo: Repo) -> None:
    finished(
        client,
        host,
        "mkdir -p out/deep; echo a > out/deep/a.csv; echo b > $DOBBY_OUTPUTS/b",
        output=("out/**/*.csv",),
    )
    got = client.fetch("main")
    assert sorted(os.listdir(f"{repo.path}/main")) == ["b", "out"]
    assert read(f"{repo.path}/main/out/deep/a.csv") == "a\n"
    assert (got["files"], got["unchanged"], got["differs"]) == (2, 0, [])
    with open(f"{repo.path}/main/b", "w") as file:
        file.write("mine")
    again = client.fetch("main")
    assert (again["unchanged"], again["differs"]) == (1, ["b"])
    assert read(f"{repo.path}/main/b") == "mine"
    client.fetch("main", overwrite=True)
    assert read(f"{repo.path}/main/b") == "b\n"


def test_a_run_without_outputs_says_so(client: Client, host: Host, repo: Repo) -> None:
    finished(client, host, "true")
    with pytest.raises(dobby.NotFound, match="kept no outputs"):
        client.fetch("main")
    assert not os.path.exists(f"{repo.path}/main")


def test_an_unknown_environment_is_refused_before_anything_starts(client: Client, host: Host) -> None:
    with pytest.raises(dobby.UsageError, match="'nope' is unknown"):
        launch(client, host, "true", environment=("nope",))
    assert client.ps(all=True, host=host.name).runs == []


def test_clean_keeps_history_and_outputs(client: Client, host: Host) -> None:
    finished(client, host, "echo b > $DOBBY_OUTPUTS/b")
    done = client.clean(["main"])
    assert [c["label"] for c in done["cleaned"]] == ["main"]
    assert "outputs" in done["kept"][0]["reason"]
    job = f"{host.home}/projects/project/jobs/main"
    assert host.run(["ls", job]).split() == [b"accepting", b"holder", b"lock", b"runs"]
    row = client.history(host=host.name).runs[0]
    assert (row["status"], row["log_bytes"]) == ("succeeded", 0)
    assert finished(client, host, "echo again")[1] == b"again\n"


def test_clean_refuses_what_is_running(client: Client, host: Host) -> None:
    launch(client, host, "sleep 60")
    done = client.clean(["main"])
    assert done["cleaned"] == []
    assert "it is" in done["kept"][0]["reason"]
    client.stop("main")


def test_a_timeout_ends_the_run(client: Client, host: Host) -> None:
    row, _ = finished(client, host, "echo began; sleep 60", timeout="0.3s", grace="0.2s")
    assert row["status"] == "timed_out"
    assert row["cause"] == {"kind": "timeout", "timeout_s": 0.3}


def test_a_directory_that_is_not_there(client: Client, host: Host) -> None:
    row, _ = finished(client, host, "true", dir="no/such")
    assert row["status"] == "failed"
    assert row["cause"]["kind"] == "environment"
    assert "no/such" in row["cause"]["tail"]


def test_tail_and_all(client: Client, host: Host) -> None:
    finished(client, host, "seq 1 1000")
    said, setup, whole = bytearray(), bytearray(), bytearray()
    client.logs("main", said.extend, tail=3)
    assert said == b"998\n999\n1000\n"
    client.logs("main", whole.extend, setup=setup.extend, all=True)
    assert b"sandbox" in setup
    assert whole.startswith(b"1\n2\n")
