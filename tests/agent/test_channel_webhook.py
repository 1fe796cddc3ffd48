"""The notice as JSON, posted to a real HTTP server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent import services
from tests.core import told

from dobby.agent.channels import webhook
from dobby.core.errors import UsageError
from dobby.core.notices import Delivery, Later, Notice, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent.services import Http

PATH = "/hooks/canary-secret"


def send(url: str, notice: Notice = told.FAILED, log_lines: bool = True) -> str:
    settings = {"url": url}
    webhook.check(settings)
    delivery = Delivery(event_id=notice.event_id, kind=notice.kind, channel="hook", log_lines=log_lines)
    return webhook.send(settings, notice, delivery, {})


@pytest.fixture
def http() -> Iterator[Http]:
    with services.http(usual="thanks") as running:
        yield running


@pytest.mark.parametrize(
    "notice", [told.STARTED, told.FAILED, told.EVIL], ids=["started", "failed", "evil"]
)
@pytest.mark.parametrize("log_lines", [False, True])
def test_what_is_posted_is_the_notice(http: Http, notice: Notice, log_lines: bool) -> None:
    assert send(http.url + PATH, notice, log_lines) == "200: thanks"
    (asked,) = http.asked
    assert asked.path == PATH
    assert asked.content == json.loads(json.dumps(to_json(notice, log_lines)))
    assert asked.headers["x-dobby-event-id"] == notice.event_id
    assert asked.headers["content-type"] == "application/json"


def test_an_answer_that_repeats_the_address_is_shown_without_it(http: Http) -> None:
    http.say(200, f"taken at {http.url}{PATH}?a=1")
    assert "canary" not in send(http.url + PATH)
    http.say(502, f"no upstream for {PATH}")
    with pytest.raises(Later, match="answered 502: no upstream for") as error:
        send(http.url + PATH)
    assert "canary" not in error.value.message


@pytest.mark.parametrize("answer", ["", "\x1b]52;c;x\x07\x1b[2J\n\r\x00x" * 100])
def test_an_answer_is_one_harmless_line(http: Http, answer: str) -> None:
    http.say(200, answer)
    said = send(http.url + PATH)
    assert said.isprintable()
    assert len(said) < 220


def test_a_redirect_is_not_followed(http: Http) -> None:
    with services.http() as elsewhere:
        http.say(307, Location=elsewhere.url)
        with pytest.raises(Later, match="a redirect, which is not followed"):
            send(http.url + PATH)
        assert elsewhere.asked == []


def test_who_hangs_is_left(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PATIENCE_S", 0.2)
    http.answers = ["hang"]
    with pytest.raises(Later, match="did not answer in time"):
        send(http.url + PATH)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": ""},
        {"url": 7},
        {"url": "canary"},
        {"url": "http://example.org/canary"},
        {"url": "ftp://example.org/canary"},
        {"url": "https:///canary"},
        {"url": "https://x/canary\nX: 1"},
        {"url": "https://x:canary/"},
        {"url": "http://127.0.0.1.canary.org/"},
        {"url": "http://localhost@canary.org/"},
    ],
)
def test_only_https_and_loopback(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        webhook.check(settings)
    assert "canary" not in error.value.message + error.value.hint
    for url in ("https://example.org/x", "http://127.0.0.1:8/x", "http://localhost/x", "http://[::1]/x"):
        webhook.check({"url": url})
