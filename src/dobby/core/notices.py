"""Who is told of what: rules from a run's events and final state to deliveries.

A run's events and final state are what is durable; what is due follows from them here, and is
never stored. What was delivered is recorded beside the run (notices.jsonl), and not told again.
"""

from __future__ import annotations

from dobby.core import events as ev
from dobby.core import status as st
from dobby.core.harmless import harmless
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Optional

    from dobby.core.host_settings import Channel
    from dobby.core.request import Request

SCHEMA = 1
STARTED, STALLED = "started", "stalled"
BAD_NEWS = (st.Failed.name, st.TimedOut.name, st.Lost.name)


# --- what a notice is, and what a channel answers -----------------------------------------------


class Notice(Record):
    """What people are told. `run` is the row that `ps --json` gives, as it was at the event;
    `at` (UTC, ISO 8601) when that was.

    `last_success` is {"run_id", "commit", "commits_ago"} of the label's last run that passed, None
    where there is none; "commits_ago" is None where it cannot be counted. `environment_changed`
    since then: None where that is not known. `tail` and `error_line` hold lines of the log, made
    harmless, forwarded values masked; `silent_s` is for how long a stalled run said nothing.
    `log_command` shows the whole log, `ssh_command` does so for people without dobby."""

    event_id: str
    kind: str
    at: str
    run: dict[str, Any]
    log_command: str
    ssh_command: str
    last_success: Optional[dict[str, Any]] = None
    environment_changed: Optional[bool] = None
    tail: tuple[str, ...] = ()
    error_line: str = ""
    silent_s: Optional[float] = None


class Delivery(Record):
    """One notice to one place: `channel` by name, `to` an address for e-mail, else "".
    `log_lines`: lines of the log may go there."""

    event_id: str
    kind: str
    channel: str
    to: str = ""
    log_lines: bool = False


class Later(Exception):
    """Not delivered: to be tried again, after `retry_after_s` where the service said so. The
    message says why, and holds neither the channel's address nor a secret."""

    def __init__(self, message: str, retry_after_s: Optional[float] = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """Not delivered, and no repetition will change that."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# --- what is due --------------------------------------------------------------------------------


class Seen(Record):
    """What the rules look at: kinds of the run's events, its final status ("" while it lives)."""

    events: frozenset[str]
    status: str
    stalled: bool


# kind of notice: when it is due
RULES: dict[str, Callable[[Seen], bool]] = {
    STARTED: lambda seen: ev.STARTED in seen.events,
    STALLED: lambda seen: seen.stalled,
    st.Succeeded.name: lambda seen: seen.status == st.Succeeded.name,
    st.Failed.name: lambda seen: seen.status == st.Failed.name,
    st.Stopped.name: lambda seen: seen.status == st.Stopped.name,
    st.TimedOut.name: lambda seen: seen.status == st.TimedOut.name,
    st.Lost.name: lambda seen: seen.status == st.Lost.name,
}


class Recipient(Record):
    """A place that wants to hear of a run: of the kinds `on`, through a channel."""

    channel: Channel
    to: str
    on: tuple[str, ...]
    log_lines: bool


def due(
    request: Request,
    events: list[dict[str, Any]],
    final: Optional[st.Final],
    channels: Iterable[Channel],
    *,
    created_at: str = "",
    stalled: bool = False,
) -> list[Delivery]:
    """Every delivery that the run has given cause for so far, delivered or not, in the order of
    what happened. `stalled`: it was once found silent for longer than the host allows."""
    kinds = frozenset(str(event["kind"]) for event in events)
    seen = Seen(events=kinds, status=final.name if final else "", stalled=stalled)
    ran_s = _ran_s(final, created_at)
    told = recipients(request, channels)
    return [
        Delivery(
            event_id=f"{request.run_id}.{kind}",
            kind=kind,
            channel=one.channel.name,
            to=one.to,
            log_lines=one.log_lines,
        )
        for kind, is_due in RULES.items()
        if is_due(seen)
        for one in told
        if kind in one.on and kind in one.channel.on and _is_long_enough(kind, ran_s, one.channel)
    ]


def recipients(request: Request, channels: Iterable[Channel]) -> list[Recipient]:
    """Who hears of the run: the team's channels, its owner, and whom the request names. None
    twice; who is meant by several rules is told of all that any of them would tell."""
    found: dict[tuple[str, str], Recipient] = {}
    for one in _meant(request, list(channels)):
        key = (one.channel.name, one.to.lower())
        before = found.get(key, one)
        on = tuple(kind for kind in RULES if kind in one.on or kind in before.on)
        found[key] = before.replace(on=on, log_lines=one.log_lines or before.log_lines)
    return list(found.values())


def unknown_names(notify: Iterable[str], channels: Iterable[Channel]) -> list[str]:
    """Those of `notify` that nobody can be reached by: no channel of that name, and, for an
    address, no e-mail channel that would carry it."""
    known = list(channels)
    names = {channel.name for channel in known}
    has_mail = _mail(known) is not None
    return [who for who in notify if who not in names and not ("@" in who and has_mail)]


def _meant(request: Request, channels: list[Channel]) -> Iterator[Recipient]:
    """Every rule that names a recipient, one after the other."""
    for channel in channels:
        if channel.team or channel.name in request.notify:
            yield from _through(channel, request.email)
    mail = _mail(channels)
    if mail is None:
        return
    if request.email:
        yield Recipient(channel=mail, to=request.email, on=request.notify_on, log_lines=True)
    for who in request.notify:
        if "@" in who:
            own = who.lower() == request.email.lower()
            yield Recipient(channel=mail, to=who, on=tuple(RULES), log_lines=own or mail.log_lines)


def _through(channel: Channel, owner: str) -> Iterator[Recipient]:
    """The places behind a channel: for e-mail each address, the owner's where it has none."""
    places = (addresses(channel.settings) or (owner,)) if channel.kind == "email" else ("",)
    for to in places:
        if to or channel.kind != "email":
            yield Recipient(channel=channel, to=to, on=tuple(RULES), log_lines=channel.log_lines)


def addresses(settings: dict[str, Any]) -> tuple[str, ...]:
    """Whom an e-mail channel's own `to` names: one text, with commas or not, or a list."""
    given = settings.get("to", ())
    texts = given.split(",") if isinstance(given, str) else given
    return tuple(filter(None, (str(text).strip() for text in texts)))


def _mail(channels: list[Channel]) -> Optional[Channel]:
    """The channel that carries people's own notices: the first for e-mail."""
    return next((channel for channel in channels if channel.kind == "email"), None)


def _is_long_enough(kind: str, ran_s: Optional[float], channel: Channel) -> bool:
    """Whether a channel for long runs alone is told. A start promises no length; what lasted
    for an unknown time is not known to be short."""
    if not channel.min_duration_s or kind == STALLED:
        return True
    return kind != STARTED and (ran_s is None or ran_s >= channel.min_duration_s)


def _ran_s(final: Optional[st.Final], created_at: str) -> Optional[float]:
    """Seconds that a run took; where no clock saw the command whole, by the calendar."""
    if final is None or final.duration_s is not None:
        return final.duration_s if final else None
    return seconds_between(final.started_at or created_at, final.finished_at)


def seconds_between(begin: str, end: str) -> Optional[float]:
    """Between two stamps of ours; None where one is none, or the calendar went backwards."""
    from datetime import datetime

    try:
        first, last = (datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ") for at in (begin, end))
    except ValueError:
        return None
    seconds = (last - first).total_seconds()
    return seconds if seconds >= 0 else None


# --- making one, and its JSON -------------------------------------------------------------------


def make_notice(kind: str, row: dict[str, Any], at: str, log_path: str, **known: Any) -> Notice:
    """The notice of an event of the run that `row` shows. `log_path` is absolute, on the host;
    `known` are Notice's other fields. A start is told as it was, also when the run is over; a line
    that looks like an error is one only where the run ended badly."""
    if kind in (STARTED, STALLED):
        over = ("exit_code", "cause", "finished_at", "duration_s")
        row = {**row, "status": st.Running.name, **dict.fromkeys(over)}
    known["tail"] = tuple(_line(line) for line in known.get("tail", ()))
    known["error_line"] = _line(known.get("error_line", "")) if kind in BAD_NEWS else ""
    return Notice(
        event_id=f"{row['run_id']}.{kind}",
        kind=kind,
        at=at,
        run=row,
        log_command=_line(log_command(row)),
        ssh_command=_line(ssh_command(str(row["host"]), log_path)),
        **known,
    )


def _line(text: str) -> str:
    """Whatever a host is called or a job says: one line, and nothing in it steers a terminal."""
    return harmless(text).replace("\n", " ")


def log_command(row: dict[str, Any]) -> str:
    """Shows the run's whole log, wherever dobby is."""
    from shlex import join

    job = f"{row['project']}/{row['label']}"
    return join(["dobby", "logs", job, "-H", str(row["host"]), "--run", str(row["run_id"])])


def ssh_command(host: str, path: str) -> str:
    """Shows the end of the log at `path` where there is no dobby. The path is quoted twice: once
    for the shell here, once for the one there."""
    from shlex import join, quote

    there = join(["tail", "-n", "100", path])
    if host == "local":
        return there
    return f"ssh {quote(host)} {there if quote(path) == path else quote(there)}"


def to_json(notice: Notice, log_lines: bool) -> dict[str, Any]:
    """The notice as a webhook posts it. Lines of the log only where they may go there."""
    run = {**notice.run, "last_success": notice.last_success, "log_command": notice.log_command}
    if log_lines:
        run.update(tail=list(notice.tail), error_line=notice.error_line)
    return {"schema": SCHEMA, "event_id": notice.event_id, "kind": notice.kind, "run": run}
