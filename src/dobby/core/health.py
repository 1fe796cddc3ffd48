"""What a host's facts mean: line by line what was found, whether that is good, and how to mend it.

The facts come from the verb `check` (agent/facts.py), a dict of plain values; those of the
connection from the caller.
"""

from __future__ import annotations

from dobby.core.host_settings import LEAST_INODES
from dobby.core.record import Record
from dobby.core.sizes import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Optional

# NOTE: nothing is wrong, and something can do without. BAD: a run would fail.
GOOD, NOTE, WARNING, BAD = "good", "note", "warning", "bad"

MOST_SKEW_S = 2.0
LEAST_MEMORY_BYTES = 200_000_000
SHARED_FILESYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "afs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "fuse.sshfs",
)
NO_CHECK = "nothing there answers a look that sends no message: `dobby channel test` sends one"


class Line(Record):
    """`state` is one of GOOD, NOTE, WARNING, BAD; `mend` is "" where there is nothing to do."""

    check: str
    state: str
    found: str
    mend: str = ""


def _line(check: str, state: str, found: str, mend: str = "") -> Line:
    return Line(check=check, state=state, found=found, mend=mend)


def judge(facts: Mapping[str, Any]) -> list[Line]:
    """The lines of all that `facts` hold, in the order in which they are shown."""
    lines: list[Line] = []
    for name, say in _JUDGES.items():
        if name in facts:
            said = say(facts[name])
            lines += said if isinstance(said, list) else [said]
    return lines


def is_fit(lines: list[Line]) -> bool:
    """Whether a run would not fail for any of them."""
    return not any(line.state == BAD for line in lines)


# --- the way there ---------------------------------------------------------------------------


def _connection(fact: Mapping[str, Any]) -> Line:
    """`error` and `hint`; or `how` (see Transport.connect), `cold_s`, `warm_s` (None: no answer)."""
    if fact.get("error"):
        return _line("connection", BAD, fact["error"], fact.get("hint", ""))
    how, warm = fact["how"], "no answer" if fact["warm_s"] is None else _ms(fact["warm_s"])
    if how == "local":
        return _line("connection", GOOD, f"this machine: {warm} until it answers")
    if how == "each":
        found = f"each call logs in anew: {warm} until the host answers"
        mend = "dobby says above why ssh's control socket has no place"
        return _line("connection", WARNING, found, mend)
    cold = f"{_ms(fact['cold_s'])} to log in" if how == "made" else "open already"
    return _line("connection", GOOD, f"{cold}, then {warm} until the host answers")


def _login_files(fact: Mapping[str, Any]) -> Line:
    """`bytes` that they printed, and `line`, the first of it."""
    if not fact["bytes"]:
        return _line("login files", GOOD, "print nothing")
    return _line(
        "login files",
        WARNING,
        f"print {size_text(fact['bytes'])} where nobody reads them: {fact['line']}",
        "dobby passes over it, scp and rsync may not: print only where a person types, "
        "case $- in *i*) … ;; esac",
    )


def _clock(fact: Mapping[str, Any]) -> Line:
    """`skew_s`: the host's clock less the laptop's."""
    skew = fact["skew_s"]
    if abs(skew) < MOST_SKEW_S:
        return _line("clock", GOOD, f"as here, within {MOST_SKEW_S:.0f} s")
    return _line(
        "clock",
        WARNING,
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        "have both set by NTP: times shown are the host's, and a wrong clock breaks TLS and builds",
    )


# --- what must be there ----------------------------------------------------------------------


def _agent(fact: Mapping[str, Any]) -> Line:
    """`error` and `hint` where it could not be started; or `digest`, `bytes`, `kept`."""
    if fact.get("error"):
        return _line("agent", BAD, fact["error"], fact.get("hint", ""))
    others = f"; with {fact['kept'] - 1} earlier ones" if fact["kept"] > 1 else ""
    found = f"{fact['digest'][:12]}{others}, {size_text(fact['bytes'])} in all"
    return _line("agent", GOOD, found)


def _program(check: str, fact: Mapping[str, Any]) -> Line:
    """`path` and `version`, or `error` and `hint`."""
    if fact.get("error"):
        return _line(check, BAD, fact["error"], fact.get("hint", ""))
    return _line(check, GOOD, f"{fact['version']} ({fact['path']})")


def _home(fact: Mapping[str, Any]) -> list[Line]:
    """`path`, `filesystem`, `error` of writing there, `disk` (agent/room.py), `least_mb`."""
    where = fact["path"]
    if fact["error"]:
        first = _line(
            "home",
            BAD,
            f"{where} cannot be written: {fact['error']}",
            "mend that, or set DOBBY_HOME on the host to a place that can be written",
        )
    else:
        first = _line("home", GOOD, f"{where} can be written ({fact['filesystem'] or 'unknown'})")
    return [first, _disk(fact["disk"], fact["least_mb"]), *_inodes(fact["disk"]["free_inodes"])]


def _disk(disk: Mapping[str, Any], least_mb: int) -> Line:
    free, total = disk["free_bytes"], disk["total_bytes"]
    found = f"{size_text(free)} free of {size_text(total)}"
    if free < least_mb * 1_000_000:
        return _line(
            "disk",
            BAD,
            f"{found}, and a run must find {least_mb} MB",
            "`dobby clean --all` makes room; min_free_mb in the host's settings is the least",
        )
    if free < total / 20 and free < 10 * least_mb * 1_000_000:
        return _line("disk", WARNING, found, "`dobby clean --older-than 14d` makes room")
    return _line("disk", GOOD, found)


def _inodes(free: Optional[int]) -> list[Line]:
    if free is None:
        return []
    if free < LEAST_INODES:
        mend = "`dobby clean --all` makes room; environments are what has most files"
        return [_line("inodes", BAD, f"room for {free} more files", mend)]
    return [_line("inodes", GOOD, f"room for {free} more files")]


def _locks(fact: Mapping[str, Any]) -> Line:
    """`error` of a lock taken by two processes, and the `filesystem`."""
    kind = fact["filesystem"]
    shared = f" (a filesystem over the network: {kind})" if kind in SHARED_FILESYSTEMS else ""
    if fact["error"]:
        return _line(
            "locks",
            BAD,
            f"do not work{shared}: {fact['error']}",
            "no run can be started: set DOBBY_HOME on the host to a local disk",
        )
    return _line("locks", GOOD, f"hold between processes{shared}")


def _settings(fact: Mapping[str, Any]) -> list[Line]:
    """`error`, `hint`, `warnings` of the host's config.toml; `profile`, an error of sourcing it; what
    it `keeps` of a job: runs, `last` and of so many `days` (None: no limit)."""
    lines = [_line("settings", WARNING, text) for text in fact["warnings"]]
    if fact["error"]:
        lines.append(_line("settings", BAD, fact["error"], fact["hint"]))
    if fact["profile"]:
        mend = "mend or remove `profile` in the host's settings"
        lines.append(_line("profile", BAD, fact["profile"], mend))
    last, days = fact["keeps"].get("last"), fact["keeps"].get("days")
    limits = [f"keep_last = {last}"] if last is not None else []
    limits += [f"keep_days = {days}"] if days is not None else []
    if limits:
        found = f"{', '.join(limits)}: of earlier runs log and outputs go, fetched or not"
        lines.append(_line("keeping", GOOD, found))
    return lines


def _memory(fact: Mapping[str, Any]) -> list[Line]:
    """`free_bytes` and `total_bytes`; empty where the host does not say."""
    if not fact:
        return []
    found = f"{size_text(fact['free_bytes'])} free of {size_text(fact['total_bytes'])}"
    if fact["free_bytes"] < LEAST_MEMORY_BYTES:
        mend = "`dobby ps` shows what runs there"
        return [_line("memory", WARNING, found, mend)]
    return [_line("memory", GOOD, found)]


# --- what helps ------------------------------------------------------------------------------


def _logout(fact: Mapping[str, Any]) -> Line:
    """`systemd`, `manager` (a user manager), `lingers`, `kills` (KillUserProcesses)."""
    mend = "`loginctl enable-linger` on the host, once, keeps the account's processes"
    if fact["kills"] and not fact["lingers"]:
        found = "ends all of the account's processes (KillUserProcesses=yes)"
        return _line("logout", BAD, found, mend)
    if fact["manager"] and fact["lingers"]:
        return _line("logout", GOOD, "ends no run: the user manager stays (linger)")
    why = "" if fact["systemd"] else " (no systemd)"
    return _line("logout", GOOD, f"ends no process{why}")


def _cron(fact: Mapping[str, Any]) -> Line:
    """`program` (crontab, "" is none), `daemon` runs, `watch` is installed."""
    add = "with it, `dobby host add NAME --watch` settles runs after a reboot, unasked"
    if not fact["program"]:
        return _line("cron", NOTE, "none", add)
    if not fact["daemon"]:
        state = WARNING if fact["watch"] else NOTE
        return _line("cron", state, "crontab, but no cron daemon runs", add)
    if fact["watch"]:
        return _line("cron", GOOD, "looks after dobby's runs (--watch)")
    return _line("cron", GOOD, "there", add)


def _tools(fact: Mapping[str, str]) -> list[Line]:
    """A path or "" of each name in _USES."""
    return [
        _line(name, GOOD, fact[name]) if fact[name] else _line(name, NOTE, "none", use)
        for name, use in _USES.items()
        if name in fact
    ]


_USES = {
    "uv": "without it environments are made by venv and pip, which takes longer",
    "rsync": "without it `dobby fetch` copies anew what is here already",
    "container": "podman or docker is needed for environments in a container alone",
}


def _index(fact: Mapping[str, Any]) -> Line:
    """`url` without a login, `ok`, `answer`."""
    if fact["ok"]:
        return _line("index", GOOD, f"{fact['url']} answers")
    return _line(
        "index",
        WARNING,
        f"{fact['url']}: {fact['answer']}",
        "packages cannot be installed there: [variables] of the host's settings can hold a proxy, "
        "SSL_CERT_FILE or PIP_INDEX_URL",
    )


def _channels(fact: list[Mapping[str, Any]]) -> list[Line]:
    """Of each `name`, `problem` of its settings, `ok` (None: not looked at) and `answer`."""
    lines = []
    for one in fact:
        check, test = f"channel {one['name']}", f"`dobby channel test {one['name']}` sends a message"
        if one["problem"]:
            mend = "`dobby channel add` of the same name writes it anew"
            lines.append(_line(check, WARNING, one["problem"], mend))
        elif one["ok"] is None:
            lines.append(_line(check, NOTE, one["answer"] or NO_CHECK, test))
        elif one["ok"]:
            lines.append(_line(check, GOOD, one["answer"]))
        else:
            lines.append(_line(check, WARNING, f"does not answer: {one['answer']}", test))
    return lines


# --- what is there ---------------------------------------------------------------------------


def _usage(fact: Mapping[str, Any]) -> list[Line]:
    """`projects`: `project` and bytes of its PARTS; `whole`: there was time for all of it."""
    lines = []
    for one in fact["projects"]:
        parts = ", ".join(f"{name} {size_text(one[name])}" for name in PARTS if one[name])
        least = "" if fact["whole"] else " at least (there was no time for all)"
        total = size_text(sum(one[name] for name in PARTS))
        lines.append(_line(f"project {one['project']}", GOOD, f"{total}{least}: {parts or 'empty'}"))
    return lines


PARTS = ("cache", "sandboxes", "environments", "logs", "outputs", "left")


def _alive(fact: list[str]) -> Line:
    """PROJECT/LABEL of each run that is not final."""
    return _line("runs", GOOD, f"{len(fact)} alive{': ' if fact else ''}{', '.join(fact)}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


_JUDGES: dict[str, Callable[[Any], Any]] = {
    "connection": _connection,
    "login_files": _login_files,
    "clock": _clock,
    "python": lambda fact: _program("python", fact),
    "agent": _agent,
    "git": lambda fact: _program("git", fact),
    "settings": _settings,
    "home": _home,
    "locks": _locks,
    "memory": _memory,
    "logout": _logout,
    "cron": _cron,
    "tools": _tools,
    "index": _index,
    "channels": _channels,
    "usage": _usage,
    "alive": _alive,
}
