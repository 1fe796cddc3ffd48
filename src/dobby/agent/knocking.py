"""Whether what a host needs over the network answers: the package index and the channels.

Nothing is sent that anyone would read. All are asked at once, and none is waited for long.
"""

from __future__ import annotations

import os
import re
import time
from threading import Thread

from dobby.agent.sender import load
from dobby.core.errors import DobbyError, UsageError
from dobby.core.lazy import regex
from dobby.core.notices import Later, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from dobby.core.host_settings import Channel, HostSettings

PATIENCE_S = 8.0
# As pip and uv look for it: variables, then pip's files (pip.pypa.io, "Configuration").
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_INDEX_FILES = ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")
_INDEX_LINE = regex(r"^index[-_]url\s*[=:]\s*(\S+)", re.M)
_PUBLIC_INDEX = "https://pypi.org/simple/"


def begin(settings: HostSettings) -> Callable[[], dict[str, Any]]:
    """Knock everywhere; what is returned waits, and gives the facts `index` and `channels`."""
    url = _index(settings)
    index = _Knock(lambda: _head(url))
    knocks = [(channel, _Knock(_at(channel))) for channel in settings.channels.values()]
    deadline = time.monotonic() + PATIENCE_S

    def facts() -> dict[str, Any]:
        ok, answer, _ = index.wait(deadline)
        return {
            "index": {"url": _without_login(url), "ok": ok, "answer": answer},
            "channels": [_fact(channel, knock.wait(deadline)) for channel, knock in knocks],
        }

    return facts


class _Knock:
    """`ask` in a thread of its own: its answer, "" where there was nothing to ask."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._said: tuple[Optional[bool], str, str] = (False, "it did not answer in time", "")
        self._thread = Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        try:
            answer = self._ask()
            self._said = (True if answer else None, answer, "")
        except UsageError as error:
            self._said = (False, "", error.message)
        except (Later, Refused, DobbyError) as error:
            self._said = (False, error.message, "")
        except Exception as error:  # its text may hold a secret
            self._said = (False, f"it could not be asked: {type(error).__name__}", "")

    def wait(self, deadline: float) -> tuple[Optional[bool], str, str]:
        """Whether it answered (None: not asked), what, and what is wrong with its settings."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._said


def _fact(channel: Channel, said: tuple[Optional[bool], str, str]) -> dict[str, Any]:
    ok, answer, problem = said
    return {"name": channel.name, "kind": channel.kind, "ok": ok, "answer": answer, "problem": problem}


def _at(channel: Channel) -> Callable[[], str]:
    """What asks a channel's service, where its kind can without sending a message."""

    def ask() -> str:
        kind = load(channel.kind)
        kind.check(channel.settings)
        return str(kind.probe(channel.settings)) if hasattr(kind, "probe") else ""

    return ask


# --- the package index -------------------------------------------------------------------------


def _index(settings: HostSettings) -> str:
    """Where this account's pip would look."""
    for name in _INDEX_VARIABLES:
        url = settings.variables.get(name) or os.environ.get(name)
        if url:
            return url
    for path in _INDEX_FILES:
        try:
            with open(os.path.expanduser(path), errors="replace") as file:
                found = _INDEX_LINE.search(file.read())
        except OSError:
            continue
        if found:
            return found[1]
    return _PUBLIC_INDEX


def _head(url: str) -> str:
    """The status of a HEAD, by the login that the address holds. Raises Later where there is no
    answer, or none of use."""
    from base64 import b64encode
    from http.client import HTTPException
    from urllib import error, request
    from urllib.parse import unquote

    from dobby.core import answers

    headers = {"User-Agent": "dobby"}
    login = answers.split(url, "index-url").netloc.rpartition("@")[0]
    if login:
        headers["Authorization"] = f"Basic {b64encode(unquote(login).encode()).decode()}"
    asked = request.Request(_without_login(url), method="HEAD", headers=headers)  # noqa: S310
    try:
        with request.urlopen(asked, timeout=PATIENCE_S) as reply:  # noqa: S310
            return f"{reply.status}"
    except error.HTTPError as failure:
        raise Later(f"it answered {failure.code}") from None
    except (OSError, HTTPException, ValueError) as failure:
        raise answers.unreachable(failure) from None


def _without_login(url: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", url)
