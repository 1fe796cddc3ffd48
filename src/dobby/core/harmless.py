"""Text of a job, a label or a service, made fit for a message: nothing in it steers anything."""

from __future__ import annotations

from dobby.core.lazy import regex

# Sequences that a terminal obeys (ECMA-48): left out whole. Bounded, so that text after a lone
# ESC is not lost.
_SEQUENCE = regex(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, moves, erases
    r"|\x1b[\]PX^_][^\x00-\x1f\x7f-\x9f]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]{0,4}[0-OQ-WYZ\\`-~]"  # the rest: resets, character sets
)
# Controls (C0 without tab and newline, C1), marks that turn the direction of text around, other
# line ends, and halves of characters, which no encoding can carry.
_BAD = regex(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """`text` with its lines and tabs, without sequences; each other control becomes U+FFFD."""
    if text.isprintable():  # most are: then there is nothing to look for
        return text
    return _BAD.sub("�", _SEQUENCE.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, most: int = 200) -> str:
    """`text` as one line of at most `most` characters: blanks in a row become one."""
    return shortened(" ".join(harmless(text).split()), most)


def shortened(text: str, most: int) -> str:
    """The begin of `text`, with "…" where something is left out."""
    return text if len(text) <= most else text[: most - 1] + "…"
