"""A host's channels, set from the laptop: secrets go in and never come out."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tomllib
from tests.client import hook as hooks
from tests.client.carried import launch

import dobby
from dobby import Client
from dobby.core.errors import DobbyError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.client.hook import Hook
    from tests.conftest import Host
    from tests.gitrepo import Repo

LOCAL = pytest.mark.parametrize("host", ["local"], indirect=True)
THEIRS = '# The lab.\nmax_running = 4\n\n[variables]\nA = "1"  # for the job\n'


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def client(repo: Repo, host: Host, heard: list[str]) -> Client:
    return Client(cwd=repo.path, say=heard.append)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hooks.serve() as running:
        yield running


def answering(*pairs: str) -> Callable[[Sequence[str]], Sequence[str]]:
    return lambda keys: pairs


def never(keys: Sequence[str]) -> Sequence[str]:
    raise AssertionError(f"asked for {keys}")


def write(host: Host, text: str) -> None:
    words = 'mkdir -p -m 700 "$1" && cat > "$1/config.toml"'
    host.run(["sh", "-c", words, "sh", host.home], input=text.encode())


def settings(host: Host) -> str:
    return host.run(["cat", f"{host.home}/config.toml"]).decode()


def add(client: Client, host: Host, name: str, hook: Hook, *words: str) -> dict[str, Any]:
    return client.channels.add(name, "webhook", words, ask=answering(f"url={hook.url}"), host=host.name)


def test_a_channel_is_added_and_the_rest_of_the_file_stays(client: Client, host: Host, hook: Hook) -> None:
    write(host, THEIRS)
    done = add(client, host, "team", hook, "on=failed,lost", "log_lines=true", "min_duration=10m")
    assert (done["host"], done["replaced"], done["channel"]["name"]) == (host.name, False, "team")
    text = settings(host)
    assert text.startswith(THEIRS)
    assert tomllib.loads(text)["channel"] == {
        "team": {
            "kind": "webhook",
            "on": ["failed", "lost"],
            "log_lines": True,
            "min_duration": "10m",
            "url": hook.url,
        }
    }
    assert host.run(["stat", "-c", "%a", f"{host.home}/config.toml"]).strip() == b"600"
    assert add(client, host, "team", hook)["replaced"]
    assert tomllib.loads(settings(host))["channel"] == {"team": {"kind": "webhook", "url": hook.url}}


@LOCAL
def test_no_umask_opens_the_file_to_others(client: Client, host: Host, hook: Hook) -> None:
    before = os.umask(0)
    try:
        add(client, host, "team", hook)
    finally:
        os.umask(before)
    for name in os.listdir(host.home):
        mode = stat.S_IMODE(os.lstat(f"{host.home}/{name}").st_mode)
        assert not mode & 0o077, name


def test_a_list_names_secrets_and_shows_none(client: Client, host: Host, hook: Hook) -> None:
    assert client.channels.list(host=host.name)["channels"] == []
    add(client, host, "team", hook)
    write(
        host,
        settings(host)
        + '[channel.mail]\nkind = "email"\nsmtp = "smtp://me:c4nary@mail.example"\npassword = "c4nary2"\n'
        + '[channel.odd]\nkind = "pigeon"\nurl = "c4nary3"\n',
    )
    found = client.channels.list(host=host.name)
    mail, odd, team = found["channels"]
    assert (team["kind"], team["team"], team["secrets"], team["problem"]) == ("webhook", True, ["url"], "")
    assert (mail["team"], mail["settings"]) == (False, {"smtp": "smtp://me:…@mail.example"})
    assert "pigeon" in odd["problem"]
    assert "c4nary" not in repr(found)
    assert hook.url not in repr(found)


def test_a_test_sends_a_whole_notice_and_shows_the_answer(client: Client, host: Host, hook: Hook) -> None:
    add(client, host, "team", hook, "log_lines=true")
    done = client.channels.test("team", host=host.name)
    assert done["sent"] == [{"to": "", "ok": True, "answer": "200: thanks"}]
    (post,) = hook.posts
    assert list(post.body) == ["schema", "event_id", "kind", "run"]
    run = post.body["run"]
    assert post.body["event_id"] == f"{run['run_id']}.{post.kind}"
    assert (run["label"], run["host"]) == ("channel-test", host.name)
    assert "test" in run["subject"]


def test_the_notice_of_a_run_is_what_ps_gives_and_more(client: Client, host: Host, hook: Hook) -> None:
    add(client, host, "team", hook, "on=succeeded", "log_lines=true")
    run = launch(client, host, "echo first; echo last")
    assert run.wait()["status"] == "succeeded"
    told = hook.wait("succeeded")
    row = run.row()
    more = ("last_success", "log_command", "tail", "error_line")
    assert [key for key in told["run"] if key not in row] == list(more)
    same = ("run_id", "status", "cause", "exit_code", "command", "usage")
    assert {key: told["run"][key] for key in same} == {key: row[key] for key in same}
    assert told["run"]["usage"]["disk_bytes"] == row["log_bytes"]
    assert told["run"]["tail"] == ["first", "last"]
    assert told["schema"] == 1


def test_a_service_that_refuses_is_quoted_without_its_address(
    client: Client, host: Host, hook: Hook
) -> None:
    add(client, host, "team", hook)
    hook.answers.append(500)
    (sent,) = client.channels.test("team", host=host.name)["sent"]
    assert (sent["ok"], "500" in sent["answer"]) == (False, True)
    assert "secret-path" not in sent["answer"]


def test_a_channel_is_removed_alone(client: Client, host: Host, hook: Hook) -> None:
    write(host, THEIRS)
    add(client, host, "team", hook)
    assert client.channels.remove("team", host=host.name) == {"host": host.name, "channel": "team"}
    assert settings(host).rstrip() == THEIRS.rstrip()
    with pytest.raises(NotFound, match="no channel 'team'"):
        client.channels.remove("team", host=host.name)
    with pytest.raises(NotFound):
        client.channels.test("team", host=host.name)


@LOCAL
@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        ("pigeon", [], ["'pigeon'", "apprise, email, slack, webhook"]),
        ("webhook", ["uri=x"], ["'uri'", "url"]),
        ("webhook", ["on=fialed"], ["on", "did you mean failed?"]),
        ("webhook", ["log_lines=yes"], ["log_lines", "true or false"]),
        ("webhook", ["min_duration=long"], ["min_duration", "duration"]),
        ("email", ["smtp=ftp://x"], ["smtp"]),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(
    client: Client, host: Host, kind: str, words: list[str], says: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        client.channels.add("x", kind, words, ask=answering("url=https://x.example/y"), host=host.name)
    for word in says:
        assert word in caught.value.message + caught.value.hint
    assert not os.path.exists(f"{host.home}/config.toml")


@LOCAL
@pytest.mark.parametrize(
    "words",
    [
        ["url=https://c4nary.example"],
        ["token=c4nary"],
        ["password=c4nary"],
        ["webhook=c4nary"],
        ["smtp=smtp://me:c4nary@mail.example"],
        ["https://c4nary.example/x"],
    ],
)
def test_a_secret_on_the_command_line_is_refused_before_any_connection(
    client: Client, host: Host, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        client.channels.add("x", "webhook", words, ask=never, host="nowhere.invalid")
    assert "c4nary" not in caught.value.message + caught.value.hint


@LOCAL
@pytest.mark.parametrize("url", ["http://c4nary.example/x", "c4nary", "https://c4nary .example"])
def test_a_wrong_secret_is_not_quoted(client: Client, host: Host, heard: list[str], url: str) -> None:
    with pytest.raises(DobbyError) as caught:
        client.channels.add("x", "webhook", ask=answering(f"url={url}"), host=host.name)
    assert "c4nary" not in f"{caught.value.to_wire()} {heard}"


@LOCAL
@pytest.mark.parametrize("name", ["../x", "a b", "", "-x", "a\nb", "x]"])
def test_a_name_that_is_none_reaches_no_host(client: Client, host: Host, name: str) -> None:
    for act in (client.channels.remove, client.channels.test):
        with pytest.raises(UsageError):
            act(name, host="nowhere.invalid")
    with pytest.raises(UsageError):
        client.channels.add(name, "slack", ask=never, host="nowhere.invalid")


@LOCAL
@pytest.mark.parametrize(
    ("kind", "words", "asked"),
    [
        ("slack", [], ["webhook"]),
        ("slack", ["channel=#runs"], ["token"]),
        ("email", ["smtp=smtp://me@mail.example"], ["password"]),
        ("apprise", [], ["url"]),
        ("webhook", [], ["url"]),
    ],
)
def test_only_the_secrets_that_are_needed_are_asked_for(
    client: Client, host: Host, kind: str, words: list[str], asked: list[str]
) -> None:
    seen: list[str] = []

    def ask(keys: Sequence[str]) -> Sequence[str]:
        seen.extend(keys)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.channels.add("x", kind, words, ask=ask, host=host.name)
    assert seen == asked


@LOCAL
def test_a_channel_without_secrets_asks_for_nothing(client: Client, host: Host) -> None:
    client.channels.add("mail", "email", ["smtp=sendmail", "to=a@x.example,b@x.example"], ask=never)
    (mail,) = client.channels.list()["channels"]
    assert (mail["team"], mail["problem"]) == (True, "")


@LOCAL
def test_a_file_that_only_a_person_can_edit_stays(client: Client, host: Host, hook: Hook) -> None:
    text = f'channel.team = {{ kind = "webhook", url = "{hook.url}" }}\n'
    write(host, text)
    with pytest.raises(DobbyError, match="only a person can edit"):
        add(client, host, "team", hook)
    assert settings(host) == text


@LOCAL
def test_secrets_stand_on_no_command_line(host: Host, repo: Repo, hook: Hook) -> None:
    """The whole way, by the command line: a canary that comes by stdin, seen by no `ps`."""
    spy = (
        "import glob, sys\n"
        "while True:\n"
        "    for path in glob.glob('/proc/[0-9]*/cmdline'):\n"
        "        try:\n"
        "            said = open(path, 'rb').read()\n"
        "        except OSError:\n"
        "            continue\n"
        "        if b'secret-' + b'path' in said: print(said, flush=True)\n"
    )
    watcher = subprocess.Popen([sys.executable, "-c", spy], stdout=subprocess.PIPE)
    try:
        for words, input in (
            (["add", "team", "webhook"], f"# the team's\nurl={hook.url}\n"),
            (["list"], ""),
            (["test", "team"], ""),
        ):
            argv = [sys.executable, "-m", "dobby.cli.main", "channel", *words]
            env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__))}
            done = subprocess.run(
                argv, input=input.encode(), capture_output=True, cwd=repo.path, env=env, check=False
            )
            assert done.returncode == 0, done.stderr
            assert b"secret-path" not in done.stdout + done.stderr
    finally:
        watcher.kill()
    assert watcher.communicate()[0] == b""
    assert hook.kinds() == ["succeeded"]
