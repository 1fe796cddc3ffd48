"""Tables of runs and settings: rich on a terminal, plain aligned columns to a pipe."""

from __future__ import annotations

from dobby.views.log import clean_cell
from dobby.views.units import duration_text, ordinal, used_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from rich.table import Table as RichTable

    from dobby.config import Options, Setting

RUN_HEADER = (*("LABEL", "HOST", "STATUS", "STARTED", "DURATION", "REVISION", "COMMIT", "USER", "COMMAND"),)
USED_HEADER = (*RUN_HEADER[:-1], "USED", RUN_HEADER[-1])
HISTORY_HEADER = ("RUN", *USED_HEADER[:-1], "HOW", RUN_HEADER[-1])
NOTHING = "-"
STATUS_WIDTH = 56
_STYLES = {
    "queued": "cyan",
    "preparing": "yellow",
    "running": "bold yellow",
    "succeeded": "green",
    "stopped": "magenta",
}  # the rest is red


class Table:
    """`rows` of cells under `header`; every cell is one harmless line."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.header = tuple(header)
        self.rows = [tuple(clean_cell(cell) for cell in row) for row in rows]

    def plain(self) -> str:
        """Columns parted by two spaces at least, none of them cut; each line ends in a newline."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        padded = ("  ".join(map(str.ljust, line, widths)) for line in lines)
        return "".join(line.rstrip() + "\n" for line in padded)

    def rich(self) -> RichTable:
        """The same for a terminal: coloured by status, the last column cut to fit."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for name in self.header:
            last = name == self.header[-1]
            table.add_column(name, no_wrap=last, overflow="ellipsis" if last else "fold")
        status = self.header.index("STATUS") if "STATUS" in self.header else -1
        for row in self.rows:
            cells = [Text(cell) for cell in row]
            if status >= 0:
                cells[status].stylize(_STYLES.get(row[status].split(" ")[0], "red"))
            table.add_row(*cells)
        return table


def of_runs(
    rows: Sequence[Mapping[str, Any]], *, here: str = "", now: datetime | None = None, used: bool = False
) -> Table:
    """What `ps` shows, with `used` what the runs used too. `here` is the checkout's project: its
    labels stand without PROJECT/.

    With `now` (aware) times are told as ages, for people; without, as the host gave them."""
    bare = _bare_project(rows, here)
    if used:
        return Table(USED_HEADER, [_with_used(row, _cells(row, bare, now)) for row in rows])
    return Table(RUN_HEADER, [_cells(row, bare, now) for row in rows])


def _with_used(row: Mapping[str, Any], cells: list[str]) -> list[str]:
    return [*cells[:-1], used_text(row.get("usage")) or NOTHING, cells[-1]]


def of_history(rows: Sequence[Mapping[str, Any]], *, here: str = "", now: datetime | None = None) -> Table:
    """The same, with run ids, and who started, restarted and stopped what. Who is no more than what
    they said is marked so."""
    bare = _bare_project(rows, here)
    return Table(HISTORY_HEADER, [_history_cells(row, bare, now) for row in rows])


def _history_cells(row: Mapping[str, Any], bare: str, now: datetime | None) -> list[str]:
    cells = _cells(row, bare, now)
    by = (row.get("cause") or {}).get("by")
    if by:
        cells[2] = f"{row.get('status')} (by {_claimed(row, str(by), ', claimed')})"
    login = row.get("login")
    mark = f" (claimed, login {login})" if login else " (claimed)"
    cells[7] = _claimed(row, cells[7], mark) if cells[7] else NOTHING
    before = _text(row, "restart_of")
    how = f"restart of {before}" if before else "started"
    return [_text(row, "run_id"), *_with_used(row, cells)[:-1], how, cells[-1]]


def _claimed(row: Mapping[str, Any], name: str, mark: str) -> str:
    """A host knows its accounts, and whom sudo let become one; another name is only what a caller
    gave as theirs."""
    account = row.get("account")
    return name if account in (None, name) or name == row.get("login") else f"{name}{mark}"


def is_claimed(row: Mapping[str, Any]) -> bool:
    """Whether the history's line of this run marks somebody as claimed."""
    names = (row.get("user"), (row.get("cause") or {}).get("by"))
    return any(name and _claimed(row, str(name), "?") != name for name in names)


def untold_text(row: Mapping[str, Any], given_up_alone: bool = False) -> str:
    """Which channels could not be told of the run, "" where all is well or nothing is due."""
    parts = []
    for notice in row.get("notices") or ():
        state, number = notice.get("state"), notice.get("attempts") or 0
        attempts = f"{number} attempt{'' if number == 1 else 's'}"
        if state == "given_up":
            parts.append(f"{notice.get('channel')} was not told, given up after {attempts}")
        elif state == "failed" and not given_up_alone:
            parts.append(f"{notice.get('channel')} is not told yet, {attempts} failed")
    return "; ".join(parts)


def of_settings(options: Options, settings: Sequence[Setting]) -> Table:
    """Every setting, its value, and where the value comes from."""
    rows = [[s.key, _setting(s.field, getattr(options, s.field)), options.sources[s.key]] for s in settings]
    for name, entry in options.hosts.items():
        rows.append([f"host.{name}", entry.ssh, "user's file"])
        own = {"become": entry.become, "shared": entry.shared}
        rows += [[f"host.{name}.{key}", str(value), "user's file"] for key, value in own.items() if value]
    return Table(("SETTING", "VALUE", "FROM"), rows)


def of_channels(channels: Sequence[Mapping[str, Any]]) -> Table:
    """What `channel list` shows: of secrets the names alone."""
    rows = []
    for one in channels:
        own = [f"{key}={_setting_of_channel(value)}" for key, value in one["settings"].items()]
        own += [f"{key}=(secret)" for key in one["secrets"]]
        told = "every run" if one["team"] else "whom names it"
        least = f", from {duration_text(one['min_duration_s'])}" if one["min_duration_s"] else ""
        lines = "yes" if one["log_lines"] else "no"
        rows.append([one["name"], one["kind"], told, f"{_kinds(one['on'])}{least}", lines, " ".join(own)])
    return Table(("CHANNEL", "KIND", "TOLD OF", "ON", "LOG LINES", "SETTINGS"), rows)


def _setting_of_channel(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _kinds(on: Sequence[str]) -> str:
    from dobby.core.status import NOTICE_KINDS

    return "all" if set(on) == set(NOTICE_KINDS) else ", ".join(on) or "nothing"


def of_hosts(hosts: Sequence[Mapping[str, Any]]) -> Table:
    """What `host list` shows."""
    rows = [
        [
            one["host"],
            one["ssh"] or "this machine",
            one["become"] or NOTHING,
            ", ".join(word for word in ("added", "used", "default", "shared") if one[word]) or NOTHING,
        ]
        for one in hosts
    ]
    return Table(("HOST", "DESTINATION", "BECOME", "KNOWN AS"), rows)


def _bare_project(rows: Sequence[Mapping[str, Any]], here: str) -> str:
    projects = {_text(row, "project") for row in rows}
    return here or (projects.pop() if len(projects) == 1 else "")


def _cells(row: Mapping[str, Any], bare: str, now: datetime | None) -> list[str]:
    project, label = _text(row, "project"), _text(row, "label")
    return [
        label if project == bare else f"{project}/{label}",
        _text(row, "host"),
        _cut(status_text(row)),
        _when(row.get("started_at") or row.get("created_at"), now),
        _duration(row, now),
        _text(row, "revision"),
        _text(row, "commit")[:7] or NOTHING,
        _text(row, "user"),
        _text(row, "command"),
    ]


def _text(row: Mapping[str, Any], key: str) -> str:
    return str(row.get(key) or "")


def _cut(text: str) -> str:
    """A reason may be long: the table tells its beginning, JSON and the log the whole."""
    return text if len(text) <= STATUS_WIDTH else text[: STATUS_WIDTH - 1] + "…"


def status_text(row: Mapping[str, Any]) -> str:
    """The status, and in brackets what decided it: "failed (exit 3)"."""
    status = _text(row, "status") or "unreadable"
    detail = _detail(row)
    return f"{status} ({detail})" if detail else status


def _detail(row: Mapping[str, Any]) -> str:
    cause = row.get("cause") or {}
    kind = cause.get("kind", "")
    if not cause:
        return _text(row, "phase") or _waits_for(row)
    if kind == "exit":
        return f"exit {cause.get('code')}" if cause.get("code") else ""
    if kind == "signal":
        return ", ".join(filter(None, (str(cause.get("name")), str(cause.get("hint") or ""))))
    if kind == "environment":
        return _failed_step(cause)
    if kind == "internal":
        return str(cause.get("message"))
    if kind == "stopped":
        return f"by {cause['by']}" if cause.get("by") else ""
    if kind == "timeout":
        return f"after {duration_text(cause.get('timeout_s') or 0)}"
    return "host rebooted" if kind == "rebooted" else str(kind).replace("_", " ")


def _waits_for(row: Mapping[str, Any]) -> str:
    """What a queued run waits for, "" for another."""
    behind, place = _text(row, "behind"), row.get("queue_position")
    if place is not None:
        return f"{ordinal(place)}, max_running = {row.get('max_running')}"
    return f"behind {behind}" if behind else ""


# --- times, sizes, values --------------------------------------------------------------------


def _parse_at(at: str) -> datetime:
    from datetime import datetime

    return datetime.fromisoformat(at)


def _when(at: object, now: datetime | None) -> str:
    if not at:
        return NOTHING
    if now is None:
        return str(at)
    try:
        return f"{_age(max(0.0, (now - _parse_at(str(at))).total_seconds()))} ago"
    except (ValueError, TypeError):  # what another version wrote is shown as it stands
        return str(at)


def _duration(row: Mapping[str, Any], now: datetime | None) -> str:
    if row.get("duration_s") is not None:
        return duration_text(row["duration_s"])
    if now is None or row.get("status") != "running":
        return NOTHING
    try:
        return duration_text(max(0.0, (now - _parse_at(str(row.get("started_at")))).total_seconds()))
    except (ValueError, TypeError):
        return NOTHING


def _age(seconds: float) -> str:
    """The largest unit alone: 3m, 5h, 12d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def _failed_step(cause: Mapping[str, Any]) -> str:
    """ "environment: uv pip install, exit 2": the command without its paths and options."""
    step, code = str(cause.get("step")), cause.get("code")
    if code is None:
        return f"{step}: {cause.get('tail') or cause.get('command') or 'failed'}"
    words = str(cause.get("command")).split()
    short = [words[0].rpartition("/")[2]] if words else []
    for word in words[1:]:
        if word.startswith(("/", "--")):
            break
        short.append(word)
    return f"{step}: {' '.join(short)}, exit {code}" if step == "environment" else f"{step}: exit {code}"


def _setting(field: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or NOTHING
    if isinstance(value, float):
        return duration_text(value) if field.endswith("_s") else f"{value:g}"
    return NOTHING if value in ("", None) else str(value)
