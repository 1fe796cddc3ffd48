"""Slack: an incoming webhook (each notice is a message), or a bot's token and a channel (one
message, which changes its colour when the run ends; the end is also told in its thread).

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
https://docs.slack.dev/reference/methods/chat.postMessage and chat.update
"""

from __future__ import annotations

import json

from dobby.core import answers, wording
from dobby.core.errors import UsageError
from dobby.core.harmless import one_line, shortened
from dobby.core.notices import STALLED, STARTED, Later, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.core.notices import Delivery, Notice

KEYS = ("webhook", "token", "channel", "api")
SECRETS = ("webhook", "token")

API = "https://slack.com/api"
PATIENCE_S = 20.0
COLOURS = {wording.GOING: "#ecb22e", wording.GOOD: "#2eb67d", wording.BAD: "#e01e5a"}

_MOST_OF_ANSWER = 1 << 20  # it repeats the message
_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "dobby"}
_MOST_OF_BLOCK = 2900  # of 3000 that a text may have
# The message is at fault; all else (a token, a channel) can be mended while we wait.
_OF_THE_MESSAGE = (
    *("invalid_blocks", "invalid_blocks_format", "invalid_attachments", "too_many_attachments"),
    *("msg_too_long", "no_text", "invalid_arguments", "invalid_json", "json_not_object"),
)
# The first message cannot be changed (any more): the end becomes one of its own.
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")


class _Gone(Exception):
    """There is no message that could be changed."""


def asks(settings: dict[str, Any]) -> tuple[str, ...]:
    """The secret of the form that `settings` have begun."""
    return ("token",) if "channel" in settings or "api" in settings else ("webhook",)


def check(settings: dict[str, Any]) -> None:
    answers.check_keys(settings, KEYS, "slack")
    if ("webhook" in settings) == ("token" in settings):
        raise UsageError("slack needs either webhook = … or token = … with channel = …")
    if "webhook" in settings:
        if "channel" in settings:
            raise UsageError("channel goes with a token: a webhook has its own, chosen in Slack")
        answers.check_url(settings, "webhook")
        return
    token = answers.text(settings, "token")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("token is none of Slack's: it must be one ASCII word (xoxb-…)")
    answers.text(settings, "channel")
    if "api" in settings:
        answers.check_url(settings, "api")


def send(settings: dict[str, Any], notice: Notice, delivery: Delivery, memory: dict[str, Any]) -> str:
    whole = message(notice, delivery.log_lines)
    if "webhook" in settings:
        return _call(settings, str(settings["webhook"]), whole)["said"]  # type: ignore[no-any-return]
    if memory.get("ts"):
        try:
            return _go_on(settings, notice, whole, memory)
        except _Gone:
            memory.clear()
    marked = {**whole, "metadata": _metadata(notice)}
    answer = _method(settings, "chat.postMessage", {"channel": settings["channel"], **marked})
    if notice.kind == STARTED:
        memory.update(ts=answer.get("ts"), channel=answer.get("channel", settings["channel"]))
    return "ok: a new message"


def probe(settings: dict[str, Any]) -> str:
    """With a token Slack says whose it is; of a webhook no more is seen than that its server answers."""
    if "token" in settings:
        return f"ok: {one_line(str(_method(settings, 'auth.test', {}).get('user')))}"
    parts = answers.split(settings["webhook"], "webhook")
    status, _, _ = _post(f"{parts.scheme}://{parts.netloc}/", None, {})
    return f"its server answers ({status})"


def _go_on(settings: dict[str, Any], notice: Notice, whole: dict[str, Any], memory: dict[str, Any]) -> str:
    """Change the run's message to what is true now, and tell of it in its thread. Done twice,
    the first leaves nothing changed: that it comes first makes a repetition harmless."""
    where = {"channel": memory["channel"], "metadata": _metadata(notice)}
    if notice.kind != STARTED:
        _method(settings, "chat.update", {"ts": memory["ts"], **where, **whole})
        short = {key: whole[key] for key in whole if key != "attachments"}
        _method(settings, "chat.postMessage", {"thread_ts": memory["ts"], **where, **short})
    return "ok: the run's message is up to date"


def _metadata(notice: Notice) -> dict[str, Any]:
    return {"event_type": "dobby_notice", "event_payload": {"event_id": notice.event_id}}


# --- the message ---------------------------------------------------------------------------------


def message(notice: Notice, log_lines: bool) -> dict[str, Any]:
    """`text` is the title, which phones show; the one attachment has the colour and the rest."""
    title = wording.title(notice)
    blocks = [_facts(notice)]
    blocks += [_code("Command", wording.command(notice.run))]
    if log_lines and notice.error_line:
        blocks.append(_code("Error", notice.error_line))
    if log_lines and wording.tail(notice):
        blocks.append(_code("Last lines of the log", _last(wording.tail(notice))))
    blocks.append(_code("Whole log", f"{notice.log_command}\n{notice.ssh_command}"))
    blocks[0]["block_id"] = notice.event_id  # by which a repetition is told
    return {
        "text": f"{_mark(notice)} *{escape(title)}*",
        "attachments": [
            {"color": COLOURS[wording.mood(notice)], "fallback": escape(title), "blocks": blocks}
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str) -> str:
    """Slack's three control characters: no mention and no link is left in what others wrote. And
    zero-width spaces in what would begin or end code.
    https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("```", "`\u200b`\u200b`")


def _mark(notice: Notice) -> str:
    if notice.kind == STALLED:
        return ":hourglass:"
    mood = wording.mood(notice)
    return {wording.GOING: ":arrow_forward:", wording.GOOD: ":white_check_mark:"}.get(mood, ":x:")


def _facts(notice: Notice) -> dict[str, Any]:
    """Ten fields at most are what a section holds; the command has a block of its own."""
    facts = [(name, text) for name, text in wording.facts(notice) if name != "Command"]
    fields = [_mrkdwn(f"*{name}*\n{escape(shortened(text, 400))}") for name, text in facts]
    return {"type": "section", "fields": fields[:10]}


def _code(name: str, text: str) -> dict[str, Any]:
    """A text as it stands; escaping may have made it five times as long."""
    inside = escape(text)
    while len(inside) > _MOST_OF_BLOCK:
        text = text[: len(text) * 9 // 10]
        inside = f"{escape(text)}…"
    return {"type": "section", "text": _mrkdwn(f"*{name}*\n```{inside}```")}


def _last(lines: list[str]) -> str:
    """As many of the last lines as there is room for."""
    kept: list[str] = []
    room = _MOST_OF_BLOCK
    for line in reversed(lines):
        room -= len(escape(line)) + 1
        if room < 0:
            break
        kept.insert(0, line)
    return "\n".join(kept)


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim`: Slack makes no links or mentions of what only looks like one."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


# --- the two endpoints ---------------------------------------------------------------------------


def _method(settings: dict[str, Any], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer of a method of the Web API, which says "ok" itself."""
    base = str(settings.get("api", API)).rstrip("/")
    answer = _call(settings, f"{base}/{name}", arguments)
    try:
        parsed = json.loads(answer["body"])
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Later(f"{name}: what answered is not Slack's API")
    if parsed.get("ok"):
        return parsed
    error = one_line(str(parsed.get("error")))
    if name == "chat.update" and error in _GONE:
        raise _Gone
    if error in _OF_THE_MESSAGE:
        raise Refused(f"{name}: Slack answered {error}")
    raise Later(f"{name}: Slack answered {error}", answer["retry_after_s"])


def _call(settings: dict[str, Any], url: str, content: dict[str, Any]) -> dict[str, Any]:
    """`said` as one line, the `body`, and `retry_after_s`. Raises Later and Refused."""
    import time

    token = str(settings.get("token", ""))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    status, retry_after, body = _post(url, json.dumps(content).encode(), headers)
    clean = answers.without_secrets(body, url, token)
    said = answers.judge(status, retry_after, clean, time.time())
    return {
        "said": said,
        "body": body,
        "retry_after_s": answers.parse_retry_after(retry_after, time.time()),
    }


def _post(url: str, body: Optional[bytes], headers: dict[str, str]) -> tuple[int, Optional[str], str]:
    """Status, Retry-After and the begin of the answer; without a `body` of a HEAD. Raises Later
    where there is none."""
    from http.client import HTTPException
    from urllib import request

    class AsItIs(request.HTTPErrorProcessor):
        """No redirect is followed: it may lead anywhere, and what is sent is a secret."""

        def http_response(self, request: Any, response: Any) -> Any:
            return response

        https_response = http_response

    # http goes to loopback alone (`check`); a proxy would be somewhere else.
    direct = [request.ProxyHandler({})] if url.startswith("http:") else []
    asked = request.Request(  # noqa: S310
        url, body, {**_HEADERS, **headers}, method="HEAD" if body is None else "POST"
    )
    try:
        with request.build_opener(AsItIs, *direct).open(asked, timeout=PATIENCE_S) as reply:
            said = reply.read(_MOST_OF_ANSWER).decode("utf-8", "replace")
            return reply.status, reply.headers.get("Retry-After"), said
    except (OSError, HTTPException, ValueError) as failure:
        raise answers.unreachable(failure) from None
