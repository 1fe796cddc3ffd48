"""What of a log is worth telling: its last lines, and the line that looks like the error."""

from __future__ import annotations

from dobby.core import json
from dobby.core.harmless import harmless, shortened
from dobby.core.lazy import regex
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Optional

MOST_BYTES = 1 << 20
LINES = 20
MOST_CHARACTERS = 400
MASK = b"***"


class Excerpt(Record):
    """Lines without their ends; `error_line` is "" where none looks like an error."""

    tail: tuple[str, ...] = ()
    error_line: str = ""


def take(data: bytes, *, is_cut: bool, secrets: Iterable[str] = ()) -> Excerpt:
    """The excerpt of a log's last bytes (at most MOST_BYTES are looked at); `is_cut`: the log has
    more before them. `secrets` are masked."""
    if len(data) > MOST_BYTES:
        data, is_cut = data[-MOST_BYTES:], True
    masked = mask(data, secrets)
    if is_cut:
        masked = _without_half_line(masked)
    if not masked.strip():  # nothing was said: no expression need be compiled for it
        return Excerpt()
    lines = [_line(raw) for raw in masked.rstrip().split(b"\n")]
    tail = tuple(lines[-LINES:]) if any(lines) else ()
    return Excerpt(tail=tail, error_line=find_error(lines).strip())


def _without_half_line(data: bytes) -> bytes:
    """The first line has lost its begin, and might show half a secret. Where it is all there is,
    its end is kept."""
    _, newline, rest = data.partition(b"\n")
    return rest if newline and rest.strip() else b"\xe2\x80\xa6" + data[-MOST_CHARACTERS // 2 :]


def _line(raw: bytes) -> str:
    """What a terminal would show in the end: a progress bar writes over itself by CR."""
    shown = [part for part in raw.split(b"\r") if part.strip()]
    text = (shown[-1] if shown else b"")[: 16 * MOST_CHARACTERS].decode("utf-8", "replace")
    return shortened(harmless(text).rstrip(), MOST_CHARACTERS)


# --- masking --------------------------------------------------------------------------------------


def mask(data: bytes, secrets: Iterable[str]) -> bytes:
    """`data` with each secret replaced: as it stands, line by line where it has several, and as
    JSON, Python's repr and URLs write it. A short one only where it stands alone, else every
    "1" of a log would go."""
    forms = {form for secret in secrets for form in _forms(secret)}
    if not forms:
        return data
    import re

    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.sub(b"|".join(map(_pattern, longest_first)), MASK, data)


def mask_text(text: str, secrets: Iterable[str]) -> str:
    masked = mask(text.encode("utf-8", "surrogateescape"), secrets)
    return masked.decode("utf-8", "surrogateescape")


def _forms(secret: str) -> Iterator[bytes]:
    from urllib.parse import quote, quote_plus

    text = secret.strip()
    if not text:
        return
    raw = text.encode("utf-8", "surrogateescape")
    yield raw
    yield from (line.strip() for line in raw.split(b"\n") if len(line.strip()) >= 8)
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")
    yield repr(text)[1:-1].encode("utf-8", "surrogateescape")
    yield from (coded.encode() for coded in (quote(raw, safe=""), quote(raw), quote_plus(raw)))


def _pattern(form: bytes) -> bytes:
    import re

    pattern = re.escape(form)
    return pattern if len(form) >= 4 else rb"(?<![\w])" + pattern + rb"(?![\w])"


# --- the line that looks like the error -----------------------------------------------------------

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = regex(r"[A-Za-z_][\w.]*(?:: |:?$)")
# gcc, clang, rustc, tsc, uv: "x.c:3:5: error: …", "error[E0308]: …", "error TS2304: …"
_COMPILER = regex(r"(?:^|[\s:(])(?:fatal )?error(?: ?\[?[A-Z]{1,4}\d{1,6}\]?)?: ")
_SAID = regex(
    r"\b(?:ERROR|FATAL|CRITICAL|FAILED|Error|Exception|[a-z]\w*(?:Error|Exception)|[A-Z]\w*(?:Error|Exception))\b"
    r"|\b(?:fatal|panic):|panicked at|terminate called|Segmentation fault|\*\*\* \["
    r"|: (?:command not found|No such file or directory|Permission denied|Killed)\b"
)
# One of them is in all that these find, in small letters: most logs have none, and need no `re`.
_WORDS = (
    *("error", "exception", "traceback", "fatal", "critical", "failed", "panic", "terminate called"),
    *("segmentation fault", "*** [", "not found", "no such file", "permission denied", "killed"),
)
_NEAR = 30  # lines between errors of one and the same compilation


def find_error(lines: list[str]) -> str:
    """The exception of the last traceback, or the first `error:` of the last compilation,
    whichever came later; else the last line that speaks of an error; else ""."""
    text = "\n".join(lines).lower()
    if not any(word in text for word in _WORDS):
        return ""
    found = max(_exception(lines), _compilation(lines))
    if found < 0:
        found = next((n for n in _backwards(lines) if _SAID.search(lines[n])), -1)
    return lines[found] if found >= 0 else ""


def _backwards(lines: list[str]) -> range:
    return range(len(lines) - 1, -1, -1)


def _exception(lines: list[str]) -> int:
    """Where the exception of the last traceback stands, -1 where there is none. Frames are
    indented; what stands before "Traceback" (a container's name) may stand before each line."""
    start = next((n for n in _backwards(lines) if _TRACEBACK in lines[n]), None)
    if start is None:
        return -1
    prefix = lines[start].partition(_TRACEBACK)[0]
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if _EXCEPTION.match(line[len(prefix) :] if line.startswith(prefix) else line):
            return number
    return -1


def _compilation(lines: list[str]) -> int:
    first: Optional[int] = None
    for number in _backwards(lines):
        if first is not None and first - number > _NEAR:
            break
        if _COMPILER.search(lines[number]):
            first = number
    return -1 if first is None else first
