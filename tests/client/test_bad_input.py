"""Words that must not reach a host start nothing at all; words that may arrive byte for byte."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import weird
from tests.client.drive import finished, launch, output
from tests.wait import until

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

OTHER_HOSTS = [
    "-oProxyCommand=touch x",
    "-J evil",
    "a b",
    "a\nb",
    "a;b",
    "$(x)",
    "`x`",
    "a\0b",
    "x@-oy",
    "hоst",
]
OTHER_LABELS = [name for name in weird.NOT_NAMES if name]
REVISIONS = ["", "--upload-pack=touch x", "-rf", "a\nb", "\x1b[2J"]
URLS = [
    "ext::sh -c 'touch x'",
    "-u",
    "--upload-pack=x",
    "fd::7",
    "https://example.org/a\nb",
    "ssh://-oProxyCommand=x/y",
    "-oProxyCommand=x:y",
    "gopher://x/y",
]


class Recorder:
    """Stands in ssh's and git's place on the laptop and writes down that it was called."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "calls"
        self.program = directory / "program"
        self.program.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.log}\nexit 255\n')
        self.program.chmod(0o755)

    @property
    def calls(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(tmp_path)
    monkeypatch.setenv("DOBBY_SSH", str(recorder.program))
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in ("git", "ssh", "rsync", "sh", "python3"):
        (bin_dir / name).symlink_to(recorder.program)
    monkeypatch.setenv("PATH", str(bin_dir))
    return recorder


def refused(call: Any, *words: Any, **options: Any) -> None:
    with pytest.raises(dobby.UsageError) as failed:
        call(*words, **options)
    for text in (failed.value.message, failed.value.hint):
        assert text.isprintable(), text
        assert len(text) < 400


def test_the_recorder_sees_what_is_started(recorder: Recorder, tmp_path: Path) -> None:
    """So that its silence means something in the tests below."""
    with pytest.raises(dobby.Unreachable):
        Client(cwd=str(tmp_path)).ps(host="somewhere")
    assert "somewhere" in recorder.calls


@pytest.mark.parametrize("label", OTHER_LABELS, ids=ascii)
def test_labels(recorder: Recorder, tmp_path: Path, label: str) -> None:
    client = Client(cwd=str(tmp_path))
    refused(client.run, "main", "true", label=label, host="h")
    if "/" not in label or label.count("/") > 1 or label.startswith("/") or ".." in label:
        for verb in (client.find, client.wait, client.stop, client.restart, client.fetch, client.shell):
            refused(verb, label, host="h")
        refused(client.logs, label, print, host="h")
        refused(client.clean, [label], host="h")
        refused(client.ps, [label], host="h")
        refused(client.history, label=label, host="h")
    refused(client.run, "main", "true", run_id=label, host="h")
    refused(client.find, "x", run=label, host="h")
    assert recorder.calls == ""


@pytest.mark.parametrize("host", OTHER_HOSTS, ids=ascii)
def test_hosts(recorder: Recorder, tmp_path: Path, host: str) -> None:
    client = Client(cwd=str(tmp_path))
    refused(client.run, "main", "true", host=host)
    refused(client.ps, host=host)
    refused(client.find, "x", host=host)
    assert recorder.calls == ""


@pytest.mark.parametrize("directory", weird.NOT_INSIDE, ids=ascii)
def test_directories(recorder: Recorder, tmp_path: Path, directory: str) -> None:
    refused(Client(cwd=str(tmp_path)).run, "main", "true", host="h", dir=directory)
    assert recorder.calls == ""


@pytest.mark.parametrize("revision", REVISIONS, ids=ascii)
def test_revisions(recorder: Recorder, tmp_path: Path, revision: str) -> None:
    client = Client(cwd=str(tmp_path))
    refused(client.run, revision, "true", host="h")
    refused(client.run, revision, "true", host="h", repo="https://example.org/x")
    assert recorder.calls == ""


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_urls(recorder: Recorder, tmp_path: Path, url: str) -> None:
    refused(Client(cwd=str(tmp_path)).run, "main", "true", host="h", repo=url)
    assert recorder.calls == ""


@pytest.mark.parametrize(
    "options",
    [
        {"env": ["1X=2"]},
        {"env": ["DOBBY_LABEL=x"]},
        {"env": ["A-B"]},
        {"env": ["=x"]},
        {"env_file": "/nowhere/env"},
        {"output": ("../x",)},
        {"keep": ("/etc/*",)},
        {"timeout": "soon"},
        {"if_running": "maybe"},
        {"labell": "x"},
    ],
    ids=ascii,
)
def test_other_options(recorder: Recorder, tmp_path: Path, options: dict[str, Any]) -> None:
    refused(Client(cwd=str(tmp_path)).run, "main", "true", host="h", **options)
    assert recorder.calls == ""


@pytest.mark.parametrize("command", ["", "  \n", "a\0b"], ids=ascii)
def test_commands_that_no_program_can_be_given(recorder: Recorder, tmp_path: Path, command: str) -> None:
    refused(Client(cwd=str(tmp_path)).run, "main", command, host="h")
    assert recorder.calls == ""


# --- what arrives as it is ---------------------------------------------------------------------


def test_commands_arrive_byte_for_byte(repo: Repo, host: Host) -> None:
    """bash itself says what it was given."""
    client = Client(cwd=repo.path)
    for number in range(0, len(weird.COMMANDS), 6):
        words = weird.COMMANDS[number : number + 6]
        quoted = "".join(f"cat <<'END-{i}'\n{word}\nEND-{i}\n" for i, word in enumerate(words))
        row, said = finished(client, host, quoted, label=f"c{number}")
        assert row["command"] == quoted
        assert said == b"".join(os.fsencode(word) + b"\n" for word in words)


def test_values_arrive_byte_for_byte(repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"V{n}" for n in range(len(weird.NAMES))]
    given = dict(zip(names, weird.NAMES.values(), strict=True))
    for name, value in given.items():
        monkeypatch.setenv(f"F{name}", value)
    words = [f"{name}={value}" for name, value in given.items()] + [f"F{name}" for name in names]
    _, said = finished(Client(cwd=repo.path), host, "env -0", env=words)
    arrived = dict(e.split(b"=", 1) for e in said.split(b"\0") if b"=" in e)
    for name, value in given.items():
        assert arrived[name.encode()] == arrived[f"F{name}".encode()] == os.fsencode(value)


def test_an_env_file_is_read_by_lines_alone(repo: Repo, host: Host, tmp_path: Path) -> None:
    odd = b"x\x0b\xc2\x85\xe2\x80\xa8y"  # Python's splitlines would cut it
    lines = (b"# comment", b"export A=1 2\r", b"", b"B='q \"x\"'", b"C=a=b=c", b"D=" + odd, b"E=")
    text = b"\n".join((*lines, b"F=\xff\xfe", b"G=file", b"H=file", b""))
    (tmp_path / "env").write_bytes(text)
    environ = {**os.environ, "G": "mine"}
    client = Client(cwd=repo.path, environ=environ)
    row, said = finished(client, host, "env -0", env=["G", "H=word"], env_file=str(tmp_path / "env"))
    arrived = dict(e.split(b"=", 1) for e in said.split(b"\0") if b"=" in e)
    wanted = {
        "A": b"1 2",
        "B": b'q "x"',
        "C": b"a=b=c",
        "D": odd,
        "E": b"",
        "F": b"\xff\xfe",
    }
    assert {name: arrived[name.encode()] for name in wanted} == wanted
    assert (arrived[b"G"], arrived[b"H"]) == (b"mine", b"word")
    assert row["status"] == "succeeded"


@pytest.mark.parametrize(
    "line", ["s3cr3t-canary", "1s3cr3t-canary=x", "DOBBY_s3cr3t-canary=x", "A=s3cr3t-canary\0"]
)
def test_a_wrong_env_file_is_not_quoted(tmp_path: Path, line: str) -> None:
    (tmp_path / "env").write_text(f"A=1\n{line}\n")
    with pytest.raises(dobby.UsageError, match="line 2") as failed:
        Client(cwd=str(tmp_path)).run("main", "true", env_file=str(tmp_path / "env"))
    assert "canary" not in failed.value.message + failed.value.hint


@pytest.mark.parametrize(
    "name", ["space", "single quote", "semicolon", "substitution", "newline", "not utf-8", "escape"]
)
def test_a_directory_may_have_any_name(repo: Repo, host: Host, name: str) -> None:
    directory = weird.NAMES[name]
    repo.write(f"{directory}/file", "content")
    client = Client(cwd=f"{repo.path}/{directory}")
    row, said = finished(
        client, host, 'cat file; printf "|%s" "${PWD##*/sandbox/}"', revision=".", label="d"
    )
    assert said == b"content|" + os.fsencode(directory)
    assert row["dir"] == directory


# --- secrets -----------------------------------------------------------------------------------

CANARY = f"s3cr3t-{os.urandom(8).hex()}"  # this process's own: other tests look for theirs


class Watching(threading.Thread):
    """Reads every process's arguments, again and again, until told to end; keeps those with one
    of `words`."""

    def __init__(self, *words: str) -> None:
        super().__init__(daemon=True)
        self._words = [word.encode() for word in words]
        self.seen: set[str] = set()
        self.looks = 0
        self._end = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._end.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                    argv = file.read()
                    if any(word in argv for word in self._words):
                        self.seen.add(argv.decode("utf-8", "replace"))
            self.looks += 1

    def ended(self) -> set[str]:
        self._end.set()
        self.join()
        return self.seen


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here to watch")
def test_secrets_are_nowhere(
    repo: Repo, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    (tmp_path / "env").write_text(f"FILED={CANARY}\n")
    repo.git("remote", "add", "origin", f"https://{CANARY}:{CANARY}@example.invalid/team/project.git")
    said: list[str] = []
    client = Client(cwd=repo.path, say=said.append)
    watching = Watching(CANARY)
    # What lives for an instant alone is looked at while it does.
    unseen = '! printf %s "$TOKEN" | grep -qsaFf - /proc/[0-9]*/cmdline'
    whole = 'test "$TOKEN" = "$FILED"'
    job = f"{whole} && {unseen} && git remote get-url origin && cat $DOBBY_OUTPUTS/../request.json"
    options: dict[str, Any] = {
        "env": ["TOKEN"],
        "env_file": str(tmp_path / "env"),
        "setup": f"{whole} && {unseen} && env | grep -c TOKEN",
    }
    row, log = finished(client, host, job, label="first", **options)
    monkeypatch.setenv("FILED", CANARY)
    again = Client(cwd=repo.path, say=said.append).restart("first", host=host.name)
    assert client.wait("first", host=host.name, run=again.run_id)["status"] == "succeeded"
    with pytest.raises(dobby.DobbyError) as failed:
        launch(client, host, "true", environment=("no-such-kind",), **options)
    until(lambda: watching.looks > 10)
    assert watching.ended() == set()
    assert row["status"] == "succeeded"
    assert log.startswith(b"https://example.invalid/team/project.git\n")
    told = [*said, failed.value.message, failed.value.hint, json.dumps(failed.value.details)]
    told += [json.dumps(client.ps(all=True, host=host.name).runs)]
    assert CANARY not in "".join(told)
    assert CANARY.encode() not in log
    assert host.run(["grep", "-rl", CANARY, host.home], check=False) == b""
    state = [str(p) for p in Path(os.environ["HOME"]).rglob("*") if p.is_file()]
    assert [p for p in state if CANARY.encode() in Path(p).read_bytes()] == []


def test_values_of_a_queued_run_wait_in_memory_alone(
    repo: Repo, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    client = Client(cwd=repo.path)
    first = launch(client, host, "sleep 600", label="q")
    watching = Watching(CANARY)
    queued = launch(client, host, "echo ${#TOKEN}", label="q", if_running="queue", env=["TOKEN"])
    until(lambda: watching.looks > 10)
    assert watching.ended() == set()
    assert host.run(["grep", "-rl", CANARY, host.home], check=False) == b""
    client.stop("q", host=host.name, run=first.run_id)
    row, said = output(client, queued)
    assert (row["status"], said) == ("succeeded", b"%d\n" % len(CANARY))
    assert host.run(["grep", "-rl", CANARY, host.home], check=False) == b""
