"""The notice as one JSON object, by POST."""

from __future__ import annotations

import json

from dobby.core import answers
from dobby.core.notices import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.core.notices import Delivery, Notice

KEYS = ("url",)
SECRETS = ("url",)

PATIENCE_S = 20.0
_MOST_OF_ANSWER = 4096
_HEADERS = {"Content-Type": "application/json", "User-Agent": "dobby"}


def asks(settings: dict[str, Any]) -> tuple[str, ...]:
    return ("url",)


def check(settings: dict[str, Any]) -> None:
    answers.check_keys(settings, KEYS, "webhook")
    answers.check_url(settings, "url")


def send(settings: dict[str, Any], notice: Notice, delivery: Delivery, memory: dict[str, Any]) -> str:
    import time

    url = str(settings["url"])
    body = json.dumps(to_json(notice, delivery.log_lines)).encode()
    status, retry_after, said = _post(url, body, {"X-Dobby-Event-Id": notice.event_id})
    return answers.judge(status, retry_after, answers.without_secrets(said, url), time.time())


def probe(settings: dict[str, Any]) -> str:
    """Whether the server answers at all: its top is asked for, not the address that takes notices."""
    parts = answers.split(settings["url"], "url")
    status, _, _ = _post(f"{parts.scheme}://{parts.netloc}/", None, {})
    return f"its server answers ({status})"


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
