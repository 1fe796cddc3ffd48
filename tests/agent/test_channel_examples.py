"""What docs/notices/ shows is what is sent, to the last byte.

After a change that is meant: WRITE_EXAMPLES=1 pytest tests/agent/test_channel_examples.py, and
then read the difference."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent import services
from tests.core import told

from dobby.agent.channels import apprise, email, slack, webhook
from dobby.core import letter
from dobby.core.notices import Delivery, Notice

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PLACE = Path(__file__).parent.parent.parent / "docs/notices"
TO = "ann@example.org"
POSTED = json.dumps({"ok": True, "channel": "C024BE91L", "ts": "1503435956.000247"})


def of_email(notice: Notice) -> str:
    with services.smtp() as mail:
        settings = {"smtp": f"smtp+plain://127.0.0.1:{mail.port}", "from": "dobby@example.org"}
        deliver(email, settings, notice)
    ((_, _, content),) = mail.letters
    return content.decode("ascii").replace("\r\n", "\n")


def of_webhook(kind: ModuleType, key: str, *told_in_turn: Notice) -> str:
    with services.http() as http:
        for notice in told_in_turn:
            deliver(kind, {key: f"{http.url}/hook"}, notice)
    bodies = [asked.content for asked in http.asked]
    return dumped(bodies if len(bodies) > 1 else bodies[0])


def of_bot(*told_in_turn: Notice) -> str:
    memory: dict[str, Any] = {}
    with services.http(usual=POSTED) as http:
        for notice in told_in_turn:
            settings = {"token": "xoxb-1", "channel": "#runs", "api": f"{http.url}/api"}
            deliver(slack, settings, notice, memory)
    return dumped(
        [{"method": asked.path[len("/api/") :], "content": asked.content} for asked in http.asked]
    )


def deliver(
    kind: ModuleType, settings: dict[str, Any], notice: Notice, memory: dict[str, Any] | None = None
) -> None:
    kind.check(settings)
    delivery = Delivery(event_id=notice.event_id, kind=notice.kind, channel="c", to=TO, log_lines=True)
    kind.send(settings, notice, delivery, {} if memory is None else memory)


def dumped(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


EXAMPLES: dict[str, Callable[[], str]] = {
    "email-started.eml": lambda: of_email(told.STARTED),
    "email-failed.eml": lambda: of_email(told.FAILED),
    "email-hostile.html": lambda: letter.html(told.EVIL, log_lines=True),
    "email-failed.html": lambda: letter.html(told.FAILED, log_lines=True),
    "email-failed.txt": lambda: letter.plain_text(told.FAILED, log_lines=True),
    "email-stalled.txt": lambda: letter.plain_text(told.STALLED, log_lines=True),
    "slack-webhook.json": lambda: of_webhook(slack, "webhook", told.STARTED, told.FAILED),
    "slack-bot.json": lambda: of_bot(told.STARTED, told.SUCCEEDED),
    "slack-hostile.json": lambda: of_webhook(slack, "webhook", told.EVIL),
    "webhook-failed.json": lambda: of_webhook(webhook, "url", told.FAILED),
    "apprise-failed.txt": lambda: apprise.body(told.FAILED, log_lines=True) + "\n",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_sent_is_what_is_shown(name: str) -> None:
    made = EXAMPLES[name]()
    if os.environ.get("WRITE_EXAMPLES"):
        (PLACE / name).write_text(made, newline="")
    assert made == (PLACE / name).read_text()


def test_every_example_that_is_shown_is_made() -> None:
    shown = {path.name for path in PLACE.iterdir() if path.suffix != ".png"}
    assert shown == set(EXAMPLES)
