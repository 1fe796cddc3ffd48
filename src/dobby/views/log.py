"""What a job, label or host says, made harmless for a terminal.

Colour stays (SGR: ESC [ … m), so do text, newline, carriage return and tab. Other complete
escape sequences are left out, as they would show nothing; a control character alone is shown
(^G), and bytes that are no UTF-8 become U+FFFD. Sequences: ECMA-48.
"""

from __future__ import annotations

import codecs
import re

from dobby.core.lazy import regex

_CONTROL = regex(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# A sequence longer than these bounds is not believed, and its text is shown.
_SEQUENCE = regex(
    r"(?P<colour>\x1b\[[0-9;:]{0,64}m)"
    r"|\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: moves, erases, modes
    r"|\x1b[\]PX^_][^\x00-\x1f\x7f-\x9f]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]{0,4}[0-OQ-WYZ\\`-~]"  # what is left: resets, character sets
    r"|(?P<alone>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f])"
)
_BEGUN = regex(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x00-\x1f\x7f-\x9f]{0,4096}\x1b?|[ -/]{0,4})\Z")
_MOST_HELD = 4100  # no more characters than these can match _BEGUN
_RESET = b"\x1b[0m"


class Sanitizer:
    """Bytes of a log in any pieces -> bytes that are harmless, in order, with bounded memory."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self._coloured = False

    def feed(self, data: bytes) -> bytes:
        """What can be shown of all that came so far; the begin of a sequence is held back."""
        text = self._held + self._decode(data)
        begun = _BEGUN.search(text, max(0, len(text) - _MOST_HELD))
        self._held = begun[0] if begun else ""
        return self._clean(text[: begun.start()] if begun else text)

    def finish(self) -> bytes:
        """What was held back; and colours end with the log."""
        rest = self._clean(self._held + self._decode(b"", final=True))
        self._held = ""
        return rest + (_RESET if self._coloured else b"")

    def _clean(self, text: str) -> bytes:
        if _CONTROL.search(text):
            text = _SEQUENCE.sub(self._replacement, text)
        return text.encode()

    def _replacement(self, found: re.Match[str]) -> str:
        if found["colour"]:
            self._coloured = True
            return found["colour"]
        return _visible(found["alone"]) if found["alone"] else ""


def clean_text(text: str) -> str:
    """A message of several lines, without any escape sequence."""
    return re.sub(r"[^\n\t -~]", lambda found: _cell_character(found[0]), text)


def clean_cell(text: str) -> str:
    """One line for a table: every character that does not print is escaped, newline too."""
    return text if text.isprintable() else "".join(map(_cell_character, text))


def _cell_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _visible(control: str) -> str:
    """^G for C0 and DEL, as `cat -v` shows them; \\x9b for C1."""
    code = ord(control)
    return f"^{chr(code ^ 64)}" if code < 128 else f"\\x{code:02x}"
