"""What `host check` shows: a line for each thing looked at, and how to mend what is wrong."""

from __future__ import annotations

from dobby.core.health import BAD, GOOD, NOTE, WARNING
from dobby.views.log import clean_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from dobby.core.health import Line

_STYLES = {GOOD: "green", NOTE: "cyan", WARNING: "yellow", BAD: "bold red"}
_INDENT = 2


class Report:
    """One host's lines under a verdict; every cell is harmless."""

    def __init__(self, host: str, lines: Sequence[Line], fit: bool) -> None:
        self._rows = _rows(host, lines, fit)

    def plain(self) -> str:
        return "".join(f"{indent}{state}{text}\n" for indent, state, text in self._rows)

    def rich(self) -> Text:
        """The same for a terminal, each state in its colour."""
        from rich.text import Text

        text = Text()
        for indent, state, rest in self._rows:
            text.append(indent).append(state, _STYLES.get(state.strip(), "")).append(f"{rest}\n")
        return text


def trouble(lines: Sequence[Line]) -> list[str]:
    """A sentence for each line that is bad."""
    return [
        f"{line.check}: {line.found}" + (f" ({line.mend})" if line.mend else "")
        for line in lines
        if line.state == BAD
    ]


def _rows(host: str, lines: Sequence[Line], fit: bool) -> list[tuple[str, str, str]]:
    """(indent, state, text) of each line of text; every cell is harmless."""
    verdict = "runs can go there" if fit else "a run would fail there"
    rows = [("", "", f"{clean_cell(host)}: {verdict}")]
    width = max((len(clean_cell(line.check)) for line in lines), default=0)
    states = max(map(len, _STYLES))
    for line in lines:
        check = clean_cell(line.check).ljust(width)
        rows.append((" " * _INDENT, line.state.ljust(states), f"  {check}  {clean_cell(line.found)}"))
        if line.mend:
            rows.append((" " * (_INDENT + states + width + 4), "", clean_cell(line.mend)))
    return rows
