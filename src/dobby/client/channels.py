"""A host's channels: where its notices go. Methods of `Client.channels`."""

from __future__ import annotations

from dobby.client import asking
from dobby.core import protocol
from dobby.core.errors import UsageError
from dobby.core.host_settings import SECRET_KEYS
from dobby.core.lazy import regex
from dobby.core.names import check_name, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from dobby.client.hosts import Hosts
    from dobby.config import Options

    Ask = Callable[[Sequence[str]], Iterable[str]]


_LOGIN = regex(r"://[^/@\s]*:[^/@\s]+@")


class Channels:
    """`host` None is the settings' own. `say` hears of what takes long. Every method answers with
    `host`."""

    def __init__(
        self, options: Options, hosts: Hosts, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._options, self._hosts, self._environ, self._say = options, hosts, environ, say

    def add(
        self, name: str, kind: str, words: Iterable[str] = (), *, ask: Ask, host: str | None = None
    ) -> dict[str, Any]:
        """Write the channel `name` into the host's settings; one of that name is replaced. `words`
        are KEY=VALUE; secrets are none of them: `ask(keys)` is called for those, and answers with
        KEY=VALUE too. Answers `channel replaced found`. Raises UsageError."""
        check_name(name, "channel")
        given = parse_words(words, refuse=SECRET_KEYS)
        asked = self._call(host, "asks", kind=kind, words=given)["asks"]
        if asked:
            given = {**given, **parse_words(ask(asked))}
        return self._call(host, "add", name=name, kind=kind, words=given)

    def list(self, *, host: str | None = None) -> dict[str, Any]:
        """Answers `channels`: `name kind on min_duration_s log_lines team settings secrets problem`
        of each; of secrets the names alone."""
        return self._call(host, "list")

    def test(self, name: str, *, host: str | None = None) -> dict[str, Any]:
        """Send a notice. Answers `channel` and `sent`: `to ok answer` of each place behind it."""
        check_name(name, "channel")
        email = asking.of_owner(self._options, None)["email"]
        user = asking.of_caller(self._environ)["user"]
        return self._call(host, "test", name=name, email=email, user=user)

    def remove(self, name: str, *, host: str | None = None) -> dict[str, Any]:
        """Answers `channel`. Raises NotFound."""
        check_name(name, "channel")
        return self._call(host, "remove", name=name)

    def _call(self, host: str | None, action: str, **args: Any) -> dict[str, Any]:
        where = host or self._options.host

        def heard(kind: str, payload: bytes) -> None:
            if kind == protocol.SAY:
                self._say(payload.decode("utf-8", "replace"))

        answer = self._hosts.call(where, "channel", {"action": action, "host": where, **args}, heard)
        return {"host": where, **answer}


def parse_words(words: Iterable[str], refuse: Sequence[str] = ()) -> dict[str, str]:
    """KEY=VALUE words as a dict. A key in `refuse` is a secret, which others on this machine
    could see. Raises UsageError, which quotes no value."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key.isidentifier():
            raise UsageError("a setting of a channel is KEY=VALUE", f"{_named(key)}: write KEY=VALUE")
        if key in refuse:
            raise UsageError(
                f"{key} is a secret, and others can see a command line",
                f"leave {key} out: it is asked for, or read from stdin as {key}=…",
            )
        if refuse and _LOGIN.search(value):
            raise UsageError(
                f"{key} holds a password, and others can see a command line",
                "leave it out of the address: password is asked for, or read from stdin as password=…",
            )
        if key in found:
            raise UsageError(f"{key} is given twice")
        if "\0" in value or "\n" in value:
            raise UsageError(f"the value of {key} holds a character that no setting can")
        found[key] = value
    return found


def _named(key: str) -> str:
    """A word that may be a secret is not shown."""
    return shown(key) if key.isidentifier() and len(key) < 20 else "one of the words is not"
