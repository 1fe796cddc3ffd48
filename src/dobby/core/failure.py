"""A failed step in a few words: the command as a person would type it, and what it said that tells most."""

from __future__ import annotations

from dobby.core.harmless import one_line
from dobby.core.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "[dobby] "  # begins a line of ours in what a step said: how to mend it
MOST_OF_COMMAND = 160
_SHELLS = ("bash", "sh")
# In the order in which they tell most: a resolver's verdict stands above pages of reasons.
_TELLING = (
    regex(r"No solution found"),
    regex(r"lock.*(?:out of date|out-of-date|OUTDATED|in sync|up to date|to be updated)"),
    regex(r"(?:OUTDATED|changed).*lock"),
    regex(r"DO NOT MATCH THE HASHES"),
    regex(r"ERROR: (?:Could not find a version|Cannot install|Package .* requires a different Python)"),
    regex(r"(?i)version solving failed|ResolutionFailure|Unsatisfiable"),
    regex(r"\bNo (?:interpreter|matching distribution) found\b|is not allowed by the project"),
    # npm names a log of its own last, and codes first.
    regex(r"^npm (?:error|ERR!) (?!(?:code|errno|syscall|path|dest|cwd|command) |A complete log)\S"),
)
_REASON = regex(r"\s*(?:╰─▶|Caused by:)")
_MARKS = regex(r"^[\s×│╰─▶├•→>✘]+|^(?:ERROR|error|Error):+\s*|^npm (?:error|ERR!) ")


def command(argv: Sequence[str]) -> str:
    """ "uv sync --frozen", "pip install -r requirements.txt": without directories, and without the
    interpreter that dobby itself names. A shell's command is that command."""
    words = list(argv)
    name = words[0].rpartition("/")[2] if words else ""
    if name in _SHELLS and words[1:2] == ["-c"] and len(words) == 3:
        return one_line(words[2], MOST_OF_COMMAND)
    if words[1:2] == ["-I"]:
        del words[1]
    if words[1:3] == ["-m", "pip"]:
        words = words[2:]
    shown: list[str] = []
    ahead = iter(words)
    for word in ahead:
        if word == "--python":
            next(ahead, None)
        else:
            shown.append(word.rstrip("/").rpartition("/")[2] if word.startswith("/") else word)
    return one_line(" ".join(shown), MOST_OF_COMMAND)


def telling(tail: str) -> str:
    """The line of a program's output that tells most about why it failed: "" for no output."""
    lines = [line for line in tail.splitlines() if line.strip()]
    if tail.startswith(OURS):
        return one_line(lines[0][len(OURS) :], 300)
    for pattern in _TELLING:
        found = next((n for n, line in enumerate(lines) if pattern.search(line)), None)
        if found is not None:
            return _with_next(lines, found)
    from dobby.core.excerpt import find_error

    line = find_error(lines) or (lines[-1] if lines else "")
    return _with_next(lines, lines.index(line)) if line else ""


def _with_next(lines: Sequence[str], at: int) -> str:
    """uv says "No solution found …", and the reason in the lines after it."""
    said, after = _plain(lines[at]), lines[at + 1 : at + 4]
    if not said.endswith(":") and not (after and _REASON.match(after[0])):
        return said
    return " ".join([said, *map(_plain, after)])


def _plain(line: str) -> str:
    return one_line(_MARKS.sub("", _MARKS.sub("", line)), 300)
