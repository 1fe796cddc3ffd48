"""What `Client.channels` and `Client.hosts` answer, for tests of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dobby.client.checking import Checked
from dobby.core.health import BAD, GOOD, Line

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL: dict[str, Any] = {
    "name": "team",
    "kind": "webhook",
    "on": ["failed", "lost"],
    "min_duration_s": 600.0,
    "log_lines": True,
    "team": True,
    "settings": {"x": "\x1b[2Jy"},
    "secrets": ["url"],
    "problem": "",
}
FIT = Line(check="git", state=GOOD, found="2.39.5\x1b[2J")
UNFIT = Line(check="locks", state=BAD, found="do not work", mend="set DOBBY_HOME")
CHECKED = Checked(host="gpu", lines=[FIT], facts={})
HOST = {"host": "gpu", "ssh": "me@gpu", "become": "", "shared": False}
HOST |= {"added": True, "used": False, "default": True}


class FakeChannels:
    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def add(self, name: str, kind: str, words: list[str], *, ask: Any, host: str | None) -> Any:
        given = [*words, *ask(["url"])]
        done = {"host": "gpu", "channel": CHANNEL, "replaced": False, "found": ""}
        return self._answer("channels.add", done, (name, kind, given), {"host": host})

    def list(self, **named: Any) -> Any:
        return self._answer("channels.list", {"host": "gpu", "channels": [CHANNEL]}, (), named)

    def test(self, *words: Any, **named: Any) -> Any:
        sent = [{"to": "", "ok": True, "answer": "200: ok\x1b[2J"}]
        return self._answer("channels.test", {"host": "gpu", "channel": "team", "sent": sent}, words, named)

    def remove(self, *words: Any, **named: Any) -> Any:
        return self._answer("channels.remove", {"host": "gpu", "channel": "team"}, words, named)


class FakeHosts:
    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def add(self, *words: Any, **named: Any) -> Any:
        done = {"host": "gpu", "ssh": "me@gpu", "become": named["become"] or "", "added": True}
        done |= {"watch": named["watch"], "note": ""}
        return self._answer("hosts.add", done, words, named)

    def list(self) -> Any:
        return self._answer("hosts.list", [HOST], (), {})

    def check(self, *words: Any, **named: Any) -> Any:
        return self._answer("hosts.check", [CHECKED], words, named)

    def remove(self, *words: Any, **named: Any) -> Any:
        purged = {"freed_bytes": 1400, "untold": 0, "unwatched": False, "left": ["mine"]}
        done = {"host": "gpu", "removed": True, "unwatched": named["watch"]}
        done["purged"] = purged if named["purge"] else None
        return self._answer("hosts.remove", done, words, named)
