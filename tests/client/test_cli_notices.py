"""cli: channel and host, and what ps and history say of who was told and who did what."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client import fake_books
from tests.client.fake_client import FakeClient, call, row
from tests.client.test_cli_terminal import CALL, Terminal

Capture = pytest.CaptureFixture[bytes]
GIVEN_UP = [{"channel": "team", "state": "given_up", "attempts": 40}]
KEEP = {"watch": False, "purge": False, "outputs": False}
FAILING = [{"channel": "mail", "state": "failed", "attempts": 1}]


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize(
    ("words", "method", "positional", "named"),
    [
        (["channel", "list"], "channels.list", (), {"host": None}),
        (["channel", "-H", "gpu", "test", "team"], "channels.test", ("team",), {"host": "gpu"}),
        (["channel", "remove", "team"], "channels.remove", ("team",), {"host": None}),
        (["host", "list"], "hosts.list", (), {}),
        (["host", "check"], "hosts.check", (), {}),
        (["host", "check", "gpu"], "hosts.check", ("gpu",), {}),
        (["host", "remove", "gpu", "--watch"], "hosts.remove", ("gpu",), KEEP | {"watch": True}),
        (["host", "remove", "gpu", "--purge"], "hosts.remove", ("gpu",), KEEP | {"purge": True}),
    ],
)
def test_words_become_one_call(
    words: list[str], method: str, positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    code, fake = call(*words)
    assert (code, fake.calls) == (0, [(method, positional, named)])


@pytest.mark.parametrize(
    ("words", "positional", "named"),
    [
        (["gpu"], ("gpu", None), {"become": None, "watch": False}),
        (["--watch", "gpu", "me@gpu"], ("gpu", "me@gpu"), {"become": None, "watch": True}),
        (["gpu", "--become", "svc"], ("gpu", None), {"become": "svc", "watch": False}),
    ],
)
def test_a_host_that_is_added_is_looked_at(words: list[str], positional: Any, named: Any) -> None:
    code, fake = call("host", "add", *words)
    look = ("hosts.check", ("gpu",), {"brief": True})
    assert (code, fake.calls) == (0, [("hosts.add", positional, named), look])


def test_what_is_wrong_with_a_host_that_is_added_is_said(capsysbinary: Capture) -> None:
    wrong = fake_books.CHECKED.replace(lines=[fake_books.FIT, fake_books.UNFIT])
    assert call("host", "add", "gpu", client=FakeClient(**{"hosts.check": [wrong]}))[0] == 0
    said = capsysbinary.readouterr().err.decode().splitlines()
    assert said[-1] == "a run would fail there: locks: do not work (set DOBBY_HOME)"


def test_a_check_is_lines_that_cannot_act_and_fails_where_a_run_would(capsysbinary: Capture) -> None:
    assert call("host", "check")[0] == 0
    assert capsysbinary.readouterr().out.decode().splitlines() == [
        "gpu: runs can go there",
        "  good     git  2.39.5\\x1b[2J",
    ]
    wrong = fake_books.CHECKED.replace(lines=[fake_books.FIT, fake_books.UNFIT])
    assert call("host", "check", client=FakeClient(**{"hosts.check": [wrong]}))[0] == 1
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0] == "gpu: a run would fail there"
    assert lines[2:] == ["  bad      locks  do not work", " " * 18 + "set DOBBY_HOME"]


def test_a_purge_says_what_stays(capsysbinary: Capture) -> None:
    call("host", "remove", "gpu")
    assert b"what is on it stays (--purge" in capsysbinary.readouterr().err
    call("host", "remove", "gpu", "--purge", "--outputs")
    said = capsysbinary.readouterr().err.decode()
    assert "all of dobby there is gone: 1.4 kB" in said
    assert "its directory stays, for what is none of dobby's: mine" in said


def test_secrets_come_from_stdin(monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture) -> None:
    typed(monkeypatch, "# the team's\n\nurl=https://x.example/?a=b\n")
    code, fake = call("channel", "add", "team", "webhook", "on=failed", "-H", "gpu")
    given = ["on=failed", "url=https://x.example/?a=b"]
    assert (code, fake.calls) == (0, [("channels.add", ("team", "webhook", given), {"host": "gpu"})])
    out, err = capsysbinary.readouterr()
    assert out == b""
    assert b"dobby channel test team -H gpu" in err
    assert b"x.example" not in err


def test_a_person_types_secrets_unseen() -> None:
    terminal = Terminal(sys.executable, "-c", CALL, "channel", "add", "team", "webhook")
    terminal.read_until(b"url: ")
    terminal.write(b"https://c4nary.example\n")
    assert terminal.end() == 0
    seen = terminal.seen
    assert b"channel team of gpu is there" in seen
    assert b"c4nary" not in seen


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["channel"], "needs ACTION"),
        (["channel", "ad"], "did you mean add?"),
        (["channel", "add", "team"], "channel add needs KIND"),
        (["channel", "test"], "channel test needs NAME"),
        (["channel", "list", "team"], "'team'"),
        (["channel", "remove", "a", "b"], "'b'"),
        (["host", "check", "a", "b"], "'b'"),
        (["host", "chek"], "did you mean check?"),
        (["host", "check", "--watch"], "--watch"),
        (["host", "add", "gpu", "--purge"], "--purge"),
        (["host", "check", "gpu", "--become", "svc"], "--become goes with add"),
        (["host", "remove", "gpu", "--outputs"], "--outputs"),
        (["host", "add"], "host add needs NAME"),
        (["host", "add", "a", "b", "c"], "'c'"),
        (["host", "list", "--watch"], "--watch"),
    ],
)
def test_wrong_words_are_refused(capsysbinary: Capture, words: list[str], says: str) -> None:
    code, fake = call(*words)
    assert (code, fake.calls) == (2, [])
    assert says in capsysbinary.readouterr().err.decode()


def test_a_list_is_a_table_that_cannot_act(capsysbinary: Capture) -> None:
    call("channel", "list")
    header, line = capsysbinary.readouterr().out.decode().splitlines()
    assert header.split("  ")[0] == "CHANNEL"
    for word in ("team", "webhook", "every run", "failed, lost, from 10m00s", "yes", "url=(secret)"):
        assert word in line
    assert "\x1b" not in line


def test_what_cannot_work_and_what_is_not_there_is_said(capsysbinary: Capture) -> None:
    broken = {**fake_books.CHANNEL, "problem": "url is missing"}
    call("channel", "list", client=FakeClient(**{"channels.list": {"host": "gpu", "channels": [broken]}}))
    assert b"team cannot work: url is missing" in capsysbinary.readouterr().err
    call("channel", "list", client=FakeClient(**{"channels.list": {"host": "gpu", "channels": []}}))
    assert b"gpu has no channel" in capsysbinary.readouterr().err


def test_a_test_shows_the_answer_and_fails_where_it_did(capsysbinary: Capture) -> None:
    assert call("channel", "test", "team")[0] == 0
    assert capsysbinary.readouterr().out == b"team: sent: 200: ok\\x1b[2J\n"
    sent = [
        {"to": "a@b", "ok": True, "answer": "250"},
        {"to": "c@d", "ok": False, "answer": "it answered 550"},
    ]
    fake = FakeClient(**{"channels.test": {"host": "gpu", "channel": "mail", "sent": sent}})
    assert call("channel", "test", "mail", client=fake)[0] == 1
    assert capsysbinary.readouterr().out.decode().splitlines() == [
        "mail to a@b: sent: 250",
        "mail to c@d: NOT sent: it answered 550",
    ]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["channel", "list"], ["schema", "host", "channels"]),
        (["channel", "test", "team"], ["schema", "host", "channel", "sent"]),
        (["channel", "remove", "team"], ["schema", "host", "channel"]),
        (["host", "list"], ["schema", "hosts"]),
        (["host", "check"], ["schema", "hosts"]),
        (["host", "add", "gpu"], ["schema", "host", "ssh", "become", "added", "watch", "note", "wrong"]),
        (["host", "remove", "gpu"], ["schema", "host", "removed", "unwatched", "purged"]),
    ],
)
def test_json_is_one_object(capsysbinary: Capture, words: list[str], keys: list[str]) -> None:
    assert call(*words, "--json")[0] == 0
    out, err = capsysbinary.readouterr()
    assert list(json.loads(out)) == keys
    assert err == b""


# --- who was told, and who did what ------------------------------------------------------------


def test_ps_says_who_could_not_be_told(capsysbinary: Capture) -> None:
    call("ps", client=FakeClient(ps=[row(notices=GIVEN_UP + FAILING), row(label="web", notices=[])]))
    said = capsysbinary.readouterr().err.decode().splitlines()
    wanted = (
        "etl on gpu: team was not told, given up after 40 attempts; mail is not told yet, 1 attempt failed"
    )
    assert wanted in said
    assert not any(line.startswith("web") for line in said)


def test_history_says_what_was_given_up_alone(capsysbinary: Capture) -> None:
    call("history", client=FakeClient(history=[row(notices=GIVEN_UP + FAILING)]))
    said = capsysbinary.readouterr().err.decode().splitlines()
    assert "etl on gpu (r1): team was not told, given up after 40 attempts" in said


def history(capture: Capture, **changes: Any) -> tuple[list[str], str]:
    """The line's cells, and stderr."""
    call("history", client=FakeClient(history=[row(**changes)]))
    out, err = capture.readouterr()
    header, line = out.decode().splitlines()
    starts = [header.index(name) for name in ("RUN", "LABEL", "HOST", "STATUS", "STARTED")]
    starts += [header.index(name) for name in ("USER", "USED", "HOW", "COMMAND")]
    return [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)], err.decode()


def test_history_marks_who_is_only_claimed(capsysbinary: Capture) -> None:
    stopped = {"status": "stopped", "cause": {"kind": "stopped", "by": "bob"}}
    cells, said = history(capsysbinary, account="svc", restart_of="r0", **stopped)
    assert cells[3] == "stopped (by bob, claimed)"
    assert cells[5:8] == ["ann (claimed)", "-", "restart of r0"]
    assert "claimed: as the caller said; all that is known is the account, svc on gpu" in said


def test_history_claims_nothing_of_an_account_of_ones_own(capsysbinary: Capture) -> None:
    stopped = {"status": "stopped", "cause": {"kind": "stopped", "by": "ann"}}
    cells, said = history(capsysbinary, account="ann", **stopped)
    assert cells[3] == "stopped (by ann)"
    assert cells[5:8] == ["ann", "-", "started"]
    assert "claimed" not in said


def test_the_examples_of_channel_keep_secrets_off_the_command_line() -> None:
    from dobby.cli.channel import EXAMPLES
    from dobby.core.host_settings import SECRET_KEYS

    for line in EXAMPLES.splitlines():
        command = line.split("  ")[1]
        assert not any(f" {key}=" in command for key in SECRET_KEYS), line


def test_the_kinds_in_the_help_are_those_that_there_are() -> None:
    from dobby.cli import channel

    folder = Path(channel.__file__).parents[1] / "agent/channels"
    assert sorted(channel.KINDS) == sorted(f.stem for f in folder.glob("[!_]*.py"))
