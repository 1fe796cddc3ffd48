"""Slack's two endpoints, played by a real HTTP server, in good and bad days."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent import services
from tests.agent.services import CERTIFICATE, Http
from tests.core import told

from dobby.agent.channels import slack
from dobby.core.errors import UsageError
from dobby.core.notices import Delivery, Later, Notice, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

GREEN, AMBER, RED = "#2eb67d", "#ecb22e", "#e01e5a"
SECRET = "/services/T00000000/B00000000/canary-secret"
TOKEN = "xoxb-canary-1234"
POSTED = json.dumps({"ok": True, "channel": "C024BE91L", "ts": "1503435956.000247"})


def send(
    settings: dict[str, Any], notice: Notice, memory: dict[str, Any] | None = None, log_lines: bool = True
) -> str:
    slack.check(settings)
    delivery = Delivery(event_id=notice.event_id, kind=notice.kind, channel="team", log_lines=log_lines)
    return slack.send(settings, notice, delivery, {} if memory is None else memory)


@pytest.fixture
def http() -> Iterator[Http]:
    with services.http() as running:
        yield running


@pytest.fixture
def api() -> Iterator[Http]:
    with services.http(usual=POSTED) as running:
        yield running


def hook(http: Http) -> dict[str, Any]:
    return {"webhook": http.url + SECRET}


def bot(api: Http) -> dict[str, Any]:
    return {"token": TOKEN, "channel": "#runs", "api": f"{api.url}/api"}


# --- the incoming webhook --------------------------------------------------------------------


def test_a_webhook_gets_two_messages_with_their_colours(http: Http) -> None:
    assert send(hook(http), told.STARTED) == "200: ok"
    assert send(hook(http), told.SUCCEEDED) == "200: ok"
    assert [asked.path for asked in http.asked] == [SECRET, SECRET]
    assert [asked.content["attachments"][0]["color"] for asked in http.asked] == [AMBER, GREEN]
    assert http.asked[1].content["text"] == ":white_check_mark: *etl succeeded after 2 h 3 min*"


def test_lines_of_the_log_only_where_they_may_go(http: Http) -> None:
    send(hook(http), told.FAILED, log_lines=False)
    send(hook(http), told.FAILED, log_lines=True)
    assert [b"price" in asked.body for asked in http.asked] == [False, True]


def test_a_redirect_is_not_followed_and_tried_again(http: Http) -> None:
    with services.http() as elsewhere:
        for status in (301, 302, 307, 308):
            http.say(status, Location=f"{elsewhere.url}/canary")
            with pytest.raises(Later, match=f"answered {status}, a redirect"):
                send(hook(http), told.FAILED)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "after_s"),
    [
        (429, {"Retry_After": "7"}, Later, 7.0),
        (429, {"Retry_After": "soon"}, Later, None),
        (500, {}, Later, None),
        (503, {"Retry_After": "120"}, Later, 120.0),
        (403, {}, Later, None),
        (404, {}, Later, None),
        (400, {}, Refused, None),
    ],
)
def test_what_an_answer_means(
    http: Http, status: int, headers: dict[str, str], verdict: Any, after_s: float | None
) -> None:
    http.say(status, f"what it says of {SECRET}", **headers)
    with pytest.raises(verdict, match=f"answered {status}: what it says") as error:
        send(hook(http), told.FAILED)
    assert "canary" not in error.value.message
    assert getattr(error.value, "retry_after_s", None) == after_s


def test_who_does_not_answer_is_left(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "PATIENCE_S", 0.2)
    http.answers = ["hang", "drop"]
    with pytest.raises(Later, match="did not answer in time"):
        send(hook(http), told.FAILED)
    with pytest.raises(Later, match="broke off"):
        send(hook(http), told.FAILED)


def test_a_certificate_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with services.http(encrypted=True) as https:
        with pytest.raises(Later, match="its certificate is not trusted here: self") as error:
            send(hook(https), told.FAILED)
        assert "localhost" not in error.value.message
        monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
        assert send(hook(https), told.FAILED) == "200: ok"
    assert len(https.asked) == 1


def test_a_proxy_sees_nothing_that_goes_to_loopback(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert send(hook(http), told.FAILED) == "200: ok"


# --- the bot ---------------------------------------------------------------------------------


def test_a_bots_message_changes_its_colour_and_the_end_is_told_in_its_thread(api: Http) -> None:
    memory: dict[str, Any] = {}
    send(bot(api), told.STARTED, memory)
    assert memory == {"ts": "1503435956.000247", "channel": "C024BE91L"}
    send(bot(api), told.FAILED, memory)
    assert [asked.path for asked in api.asked] == [
        "/api/chat.postMessage",
        "/api/chat.update",
        "/api/chat.postMessage",
    ]
    first, update, reply = (asked.content for asked in api.asked)
    assert (first["channel"], first["attachments"][0]["color"]) == ("#runs", AMBER)
    assert (update["channel"], update["ts"]) == ("C024BE91L", memory["ts"])
    assert update["attachments"][0]["color"] == RED
    assert (reply["channel"], reply["thread_ts"]) == ("C024BE91L", memory["ts"])
    assert reply["text"] == update["text"]
    assert {asked.headers["authorization"] for asked in api.asked} == {f"Bearer {TOKEN}"}
    ids = [asked.content["metadata"]["event_payload"]["event_id"] for asked in api.asked]
    assert ids == [told.STARTED.event_id, told.FAILED.event_id, told.FAILED.event_id]


def test_a_start_told_again_posts_nothing_more(api: Http) -> None:
    memory: dict[str, Any] = {}
    send(bot(api), told.STARTED, memory)
    send(bot(api), told.STARTED, memory)
    assert len(api.asked) == 1


def test_an_end_without_a_start_is_a_message_of_its_own(api: Http) -> None:
    send(bot(api), told.SUCCEEDED)
    ((asked),) = api.asked
    assert asked.content["attachments"][0]["color"] == GREEN


def test_where_the_message_is_gone_the_end_is_a_new_one(api: Http) -> None:
    memory = {"ts": "1.2", "channel": "C1"}
    api.say(200, '{"ok": false, "error": "message_not_found"}')
    send(bot(api), told.FAILED, memory)
    assert [asked.path for asked in api.asked] == ["/api/chat.update", "/api/chat.postMessage"]
    assert api.asked[1].content["attachments"][0]["color"] == RED
    assert memory == {}


def test_a_thread_that_fails_is_tried_again_with_the_whole(api: Http) -> None:
    memory = {"ts": "1.2", "channel": "C1"}
    api.answers = [api.usual]
    api.say(500)
    with pytest.raises(Later):
        send(bot(api), told.FAILED, memory)
    send(bot(api), told.FAILED, memory)
    assert [asked.path.rpartition(".")[2] for asked in api.asked] == ["update", "postMessage"] * 2


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, '{"ok": false, "error": "invalid_auth"}', Later),
        (200, '{"ok": false, "error": "channel_not_found"}', Later),
        (200, '{"ok": false, "error": "msg_too_long"}', Refused),
        (200, "<html>log in to this network</html>", Later),
        (429, "", Later),
    ],
)
def test_what_the_api_answers(api: Http, status: int, body: str, verdict: Any) -> None:
    api.say(status, body, Retry_After="30")
    memory: dict[str, Any] = {}
    with pytest.raises(verdict) as error:
        send(bot(api), told.STARTED, memory)
    assert TOKEN not in error.value.message
    assert memory == {}
    if "error" in body:
        assert json.loads(body)["error"] in error.value.message
    if status == 429:
        assert error.value.retry_after_s == 30.0


# --- what others wrote -----------------------------------------------------------------------


def test_hostile_words_mention_nobody_link_nowhere_and_end_no_code(http: Http) -> None:
    send(hook(http), told.EVIL)
    (asked,) = http.asked
    texts = list(strings(asked.content))
    assert any("&lt;!channel&gt;" in text for text in texts)
    assert not any("<" in text or ">" in text for text in texts)
    assert all(text.count("```") in (0, 2) for text in texts if "```" in text)
    for block in asked.content["attachments"][0]["blocks"]:
        for element in block.get("fields", [block.get("text")]):
            assert element["verbatim"] is True


def test_however_long_it_is_slacks_bounds_are_kept(http: Http) -> None:
    long = told.notice("failed", {"command": "&" * 9000, "note": "<" * 9000}, tail=("<&>" * 130,) * 20)
    send(hook(http), long)
    for block in http.asked[0].content["attachments"][0]["blocks"]:
        assert len(block.get("fields", [])) <= 10
        assert len(block.get("text", {}).get("text", "")) <= 3000
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "slack needs either"),
        ({"webhook": "https://canary", "token": "canary"}, "slack needs either"),
        ({"webhook": "http://canary.example.org/x"}, "webhook must be an https:// address"),
        ({"webhook": "canary"}, "webhook is no address"),
        ({"webhook": "https://x/y", "channel": "#a"}, "channel goes with a token"),
        ({"token": "canary"}, "channel is missing"),
        ({"token": "canary\n1", "channel": "#a"}, "token is none of Slack's"),
        (
            {"token": "canary", "channel": "#a", "api": "http://canary.org"},
            "api must be an https:// address",
        ),
        ({"webhok": "canary"}, "did you mean webhook"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_a_secret(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as error:
        slack.check(settings)
    assert "canary" not in error.value.message


def test_the_secret_of_the_form_that_was_begun_is_asked_for() -> None:
    assert slack.asks({}) == ("webhook",)
    assert slack.asks({"channel": "#runs"}) == ("token",)
