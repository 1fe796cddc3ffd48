"""A notice in words, the same for every channel: plain text, which each escapes as it must."""

from __future__ import annotations

from dobby.core import failure, notices
from dobby.core import status as st
from dobby.core.harmless import harmless, one_line, shortened
from dobby.core.sizes import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Optional

    from dobby.core.notices import Notice

MOST_OF_COMMAND = 1000
GOOD, BAD, GOING = "good", "bad", "going"


def mood(notice: Notice) -> str:
    """GOOD, BAD or GOING (no end yet): what colour it has."""
    if notice.kind in (notices.STARTED, notices.STALLED):
        return GOING
    return GOOD if notice.kind == st.Succeeded.name else BAD


def title(notice: Notice) -> str:
    """One line that says it all: "etl failed (exit 1) after 2 h 3 min"."""
    run = notice.run
    label, lasted = one_line(str(run["label"])), _lasted(run)
    cause = short_cause(run.get("cause"))
    in_brackets = f" ({cause})" if cause and notice.kind in notices.BAD_NEWS else ""
    if notice.kind == notices.STARTED:
        return f"{label} started"
    if notice.kind == notices.STALLED:
        silent = f" for {duration(notice.silent_s)}" if notice.silent_s else ""
        return f"{label} is still running, and has said nothing{silent}"
    if notice.kind == st.Stopped.name:
        by = one_line(str((run.get("cause") or {}).get("by") or ""))
        return f"{label} was stopped{f' by {by}' if by else ''}{lasted}"
    if notice.kind == st.TimedOut.name:
        return f"{label} timed out{lasted}"
    return f"{label} {notice.kind}{in_brackets}{lasted}"


def facts(notice: Notice) -> list[tuple[str, str]]:
    """(name, text) of what a person needs to act, in their order; none is empty."""
    run = notice.run
    found = [
        ("Status", status(notice)),
        ("Host", one_line(str(run.get("host") or ""))),
        ("Who", _who(run)),
        ("Project", one_line(str(run.get("project") or ""))),
        ("Revision", revision(run)),
        ("Command", command(run)),
        ("Directory", one_line(str(run.get("dir") or "")) or "top of the checkout"),
        ("Duration", duration(run["duration_s"]) if run.get("duration_s") is not None else ""),
        ("Used", used(run.get("usage") or {})),
        ("Exit code", str(run["exit_code"]) if run.get("exit_code") is not None else ""),
        ("History", history(notice)),
        ("Note", one_line(str(run.get("note") or ""), 400)),
    ]
    return [(name, text) for name, text in found if text]


def status(notice: Notice) -> str:
    """The status and, whole, what decided it."""
    name = str(notice.run.get("status") or notice.kind).replace("_", " ")
    cause = whole_cause(notice.run.get("cause"))
    return f"{name}: {cause}" if cause else name


def used(usage: dict[str, Any]) -> str:
    """ "1.2 GB of memory at most, 3 min 5 s of CPU, 12 MB of disk"; "" where nothing is known."""
    memory, cpu_s, disk = (usage.get(name) for name in ("peak_memory_bytes", "cpu_s", "disk_bytes"))
    parts = [f"{memory / 1e6:.0f} MB" if memory < 1e9 else f"{memory / 1e9:.1f} GB"] if memory else []
    parts = [f"{part} of memory at most" for part in parts]
    parts += [f"{duration(cpu_s)} of CPU"] if cpu_s else []
    return ", ".join([*parts, *([f"{size_text(disk)} of disk"] if disk else [])])


def command(run: dict[str, Any]) -> str:
    """The command, of several lines where it has them."""
    return shortened(harmless(str(run.get("command") or "")).strip(), MOST_OF_COMMAND)


def revision(run: dict[str, Any]) -> str:
    """ "main at abc1234, Speed up the import"."""
    name, commit = one_line(str(run.get("revision") or "")), str(run.get("commit") or "")[:7]
    subject = one_line(str(run.get("subject") or ""), 120)
    at = f"{name} at {commit}" if name and name != commit else commit
    return f"{at}, {subject}" if subject else at


def history(notice: Notice) -> str:
    """ "passed last at abc1234, 3 commits ago; its environment has changed since"."""
    last = notice.last_success
    if not last:
        return ""
    ago = last.get("commits_ago")
    if ago == 0:
        text = f"passed last at {str(last['commit'])[:7]}, the same commit"
    else:
        count = "" if ago is None else f", {ago} commit{'' if ago == 1 else 's'} ago"
        text = f"passed last at {str(last['commit'])[:7]}{count}"
    if notice.environment_changed is None:
        return text
    return f"{text}; its environment {'has' if notice.environment_changed else 'has not'} changed since"


def tail(notice: Notice) -> list[str]:
    """The last lines of the log; a start has none yet that would be worth telling."""
    return [] if notice.kind == notices.STARTED else list(notice.tail)


def _who(run: dict[str, Any]) -> str:
    user, client = (one_line(str(run.get(key) or "")) for key in ("user", "client"))
    return f"{user} on {client}" if user and client else user or client


def _lasted(run: dict[str, Any]) -> str:
    seconds = run.get("duration_s")
    return "" if seconds is None else f" after {duration(seconds)}"


def duration(seconds: float) -> str:
    """Of two units at most: "0.4 s", "12 s", "3 min 5 s", "2 h 3 min", "4 d 3 h"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole >= 3600:
        whole -= whole % 60
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    at = next(n for n, (_, size) in enumerate(units) if whole >= size)
    texts = []
    for name, size in units[at : at + 2]:
        if whole // size:
            texts.append(f"{whole // size} {name}")
        whole %= size
    return " ".join(texts)


# --- causes --------------------------------------------------------------------------------------


def short_cause(cause: Optional[dict[str, Any]]) -> str:
    """A few words for a title: "exit 1", "SIGKILL", "host rebooted"; "" where there is none."""
    return one_line(_worded(cause, _SHORT), 80)


def whole_cause(cause: Optional[dict[str, Any]]) -> str:
    return one_line(_worded(cause, {**_SHORT, **_WHOLE}), 500)


def _worded(cause: Optional[dict[str, Any]], words: dict[str, Callable[[dict[str, Any]], str]]) -> str:
    if not cause:
        return ""
    kind = str(cause.get("kind", ""))
    word = words.get(kind)
    return word(cause) if word else kind.replace("_", " ")


def _step(cause: dict[str, Any]) -> str:
    code, what = cause.get("code"), str(cause.get("step") or "set-up")
    return f"{what} failed" if code is None else f"{what}: exit {code}"


def _whole_step(cause: dict[str, Any]) -> str:
    """ "environment failed: uv sync --frozen (exit 1): No solution found …"."""
    said, command = str(cause.get("tail") or ""), str(cause.get("command") or "")
    if cause.get("code") is None:
        return f"{cause.get('step')}: {said or command or 'failed'}"
    told = failure.telling(said)
    what = f"{cause.get('step')} failed: {shortened(command, 200)} (exit {cause['code']})"
    return f"{what}: {told}" if told else what


def _signal(cause: dict[str, Any]) -> str:
    return ", ".join(filter(None, (str(cause.get("name") or ""), str(cause.get("hint") or ""))))


_SHORT: dict[str, Callable[[dict[str, Any]], str]] = {
    "exit": lambda cause: f"exit {cause['code']}" if cause.get("code") else "",
    "signal": _signal,
    "out_of_memory": lambda cause: "out of memory",
    "environment": _step,
    "internal": lambda cause: str(cause.get("message") or "the host refused"),
    "rebooted": lambda cause: "host rebooted",
    "supervisor_killed": lambda cause: "supervisor killed",
    "stopped": lambda cause: f"by {cause['by']}" if cause.get("by") else "",
    "timeout": lambda cause: f"after {duration(cause.get('timeout_s') or 0)}",
}
_WHOLE: dict[str, Callable[[dict[str, Any]], str]] = {
    "environment": _whole_step,
    "supervisor_killed": lambda cause: (
        "supervisor and wrapper were killed, how the command ended is not known"
    ),
    "rebooted": lambda cause: "the host was rebooted while it ran",
    "timeout": lambda cause: f"its timeout of {duration(cause.get('timeout_s') or 0)} was over",
}
