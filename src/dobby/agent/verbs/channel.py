"""The host's channels: add, list, test, remove. What is secret comes in, and never goes out."""

from __future__ import annotations

import os

from dobby.agent import admission, config_file
from dobby.agent.sender import load
from dobby.core import notices
from dobby.core.errors import DobbyError, NotFound, UsageError
from dobby.core.host_settings import SECRET_KEYS, channel_table, parse_channel
from dobby.core.lazy import regex
from dobby.core.names import shown
from dobby.core.settings import did_you_mean
from dobby.core.toml_edit import drop_table, put_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from dobby.agent.main import Call
    from dobby.core.host_settings import Channel

_PASSWORD = regex(r"(?<=://)([^/@:]*):[^/@]*(?=@)")


def run(call: Call) -> dict[str, Any]:
    """`args`: `action`, one of ACTIONS, and what that takes. Raises UsageError, NotFound."""
    return ACTIONS[call.args["action"]](call)


def _asks(call: Call) -> dict[str, Any]:
    """`kind`, `words` (KEY=VALUE, nothing secret). Answers `asks`: the secrets still to be given."""
    kind, words = load(call.args["kind"]), call.args["words"]
    own = parse_words("new", call.args["kind"], words).settings
    for key in own:
        if key not in kind.KEYS:
            raise UsageError(
                f"a channel of kind {call.args['kind']} has no {shown(key)}", did_you_mean(key, kind.KEYS)
            )
    return {"asks": [key for key in kind.asks(own) if key not in own]}


def _add(call: Call) -> dict[str, Any]:
    """`name`, `kind`, `words` with the secrets. Answers `channel`, as `list` shows it, `replaced`
    and `found`, what a kind that needs something installed has found."""
    name, kind_name, words = call.args["name"], call.args["kind"], call.args["words"]
    kind, channel = load(kind_name), parse_words(name, kind_name, words)
    kind.check(channel.settings)
    settings = admission.read_settings(call.home)
    found = ""
    if hasattr(kind, "prepare"):
        from dobby.agent.variables import of_host

        call.wire.say(f"preparing {kind_name} on {os.uname().nodename}")
        found = kind.prepare(call.home, of_host(settings, os.environ))
    table = channel_table(kind_name, words)
    config_file.edit(call.home, lambda text: put_table(text, ["channel", name], table))
    return {"channel": _row(channel), "replaced": name in settings.channels, "found": found}


def _list(call: Call) -> dict[str, Any]:
    """Answers `channels`, by name."""
    channels = admission.read_settings(call.home).channels
    return {"channels": [_row(channels[name]) for name in sorted(channels)]}


def _test(call: Call) -> dict[str, Any]:
    """`name`, `email` (the caller's address, for an e-mail channel without any) and `host` (as the
    caller calls it). Sends one notice to each place behind the channel. Answers `sent`: `to`, `ok`
    and `answer`, what the service said or why there was none."""
    settings = admission.read_settings(call.home)
    channel = settings.channels.get(call.args["name"])
    if channel is None:
        raise _unknown(call.args["name"], settings.channels)
    kind = load(channel.kind)
    kind.check(channel.settings)
    os.environ.update(settings.variables, DOBBY_HOME=call.home)
    sent = [_send(kind, channel, to, call.args) for to in _places(channel, call.args.get("email", ""))]
    return {"channel": channel.name, "sent": sent}


def _remove(call: Call) -> dict[str, Any]:
    """`name`. Answers `channel`, its name."""
    name = call.args["name"]
    known = admission.read_settings(call.home).channels
    if name not in known:
        raise _unknown(name, known)
    config_file.edit(call.home, lambda text: drop_table(text, ["channel", name]))
    return {"channel": name}


ACTIONS = {"asks": _asks, "add": _add, "list": _list, "test": _test, "remove": _remove}


def parse_words(name: str, kind: str, words: dict[str, str]) -> Channel:
    """Raises UsageError."""
    try:
        return parse_channel(name, channel_table(kind, words))
    except ValueError as error:
        raise UsageError(f"channel {error}") from None


def _unknown(name: str, known: Iterable[str]) -> NotFound:
    names = sorted(known)
    return NotFound(
        f"this host has no channel {shown(name)}", did_you_mean(name, names) if names else "it has none"
    )


def _row(channel: Channel) -> dict[str, Any]:
    """A channel without its secrets; `secrets` are the names of those that it has, `problem` says
    why it cannot work, "" where nothing is known to be wrong."""
    hidden, problem = set(SECRET_KEYS), ""
    try:
        kind = load(channel.kind)
        hidden.update(kind.SECRETS)
        kind.check(channel.settings)
    except UsageError as error:
        problem = error.message
    own = {key: _harmless(value) for key, value in channel.settings.items() if key not in hidden}
    return {
        **channel.to_dict(),
        "settings": own,
        "secrets": sorted(hidden & set(channel.settings)),
        "problem": problem,
    }


def _harmless(value: Any) -> Any:
    """Without the password that a URL may hold."""
    return _PASSWORD.sub(r"\1:…", value) if isinstance(value, str) else value


# --- a test ----------------------------------------------------------------------------------


def _places(channel: Channel, email: str) -> list[str]:
    if channel.kind != "email":
        return [""]
    places = [*notices.addresses(channel.settings)] or [email]
    if not places[0]:
        raise UsageError(
            f"channel {channel.name} has no `to`, and you have no address that it could be tried with",
            "set `email` in your settings, or git's user.email",
        )
    return places


def _send(kind: Any, channel: Channel, to: str, args: dict[str, Any]) -> dict[str, Any]:
    notice = _sample(channel, str(args.get("host", "")), str(args.get("user", "")))
    delivery = notices.Delivery(
        event_id=notice.event_id, kind=notice.kind, channel=channel.name, to=to, log_lines=channel.log_lines
    )
    try:
        answer, ok = kind.send(channel.settings, notice, delivery, {}), True
    except (notices.Later, notices.Refused, DobbyError) as error:
        answer, ok = error.message, False
    return {"to": to, "ok": ok, "answer": answer}


def _sample(channel: Channel, host: str, user: str) -> notices.Notice:
    """A notice of a run that there never was."""
    from dobby.agent import clock
    from dobby.core import status as st
    from dobby.core.request import Request
    from dobby.core.view import make_view, to_row

    now = clock.now()
    request = Request(
        run_id=f"test-{os.urandom(5).hex()}",
        project="dobby",
        label="channel-test",
        host=host,
        commit="0" * 40,
        command=f"dobby channel test {channel.name}",
        revision="none",
        subject="a test of this channel: nothing ran",
        user=user,
    )
    final = st.Succeeded(finished_at=now, started_at=now, duration_s=0.0)
    row = to_row(make_view(request, 1, now, [], final), host)
    lines = {"tail": ("Lines of the log would stand here.",)} if channel.log_lines else {}
    return notices.make_notice(st.Succeeded.name, row, now, "/dev/null", **lines)
