"""Ranges of versions as package.json and .nvmrc write them ("^18.2 || >=20 <22", "20", "v18.x")."""

from __future__ import annotations

import re

from dobby.core.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    Version = tuple[int, int, int]
    Span = tuple[Version, Optional[Version]]  # from this one on, up to and without that one

_PART = regex(r"(\^|~|>=|<=|>|<|=)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.+-]*)?")


def spans(text: str) -> Optional[list[Span]]:
    """A version fits when it is in one of them. None for what is no range: an alias ("lts/*")."""
    found = []
    for alternative in text.split("||"):
        span = _span(alternative.strip())
        if span is None:
            return None
        found.append(span)
    return found


def _span(text: str) -> Optional[Span]:
    hyphen = re.fullmatch(r"(\S+)\s+-\s+(\S+)", text)
    if hyphen:
        text = f">={hyphen[1]} <={hyphen[2]}"
    low: Version = (0, 0, 0)
    high: Optional[Version] = None
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or (part.end() < len(text) and not text[part.end()].isspace()):
            return None
        bottom, top = _bounds(part)
        low = max(low, bottom)
        high = top if high is None else high if top is None else min(high, top)
        at = part.end() + len(text[part.end() :]) - len(text[part.end() :].lstrip())
    return low, high


def _bounds(part: re.Match[str]) -> Span:
    numbers = [int(n) if n and n.isdigit() else None for n in part.groups()[1:]]
    if numbers[0] is None:
        return (0, 0, 0), None
    major, minor, patch = numbers[0], numbers[1], numbers[2] if numbers[1] is not None else None
    least = (major, minor or 0, patch or 0)
    after = _next(major, minor, patch)
    operator = part[1] or "="
    if operator == ">=":
        return least, None
    if operator == ">":
        return after, None
    if operator == "<":
        return (0, 0, 0), least
    if operator == "<=":
        return (0, 0, 0), after
    if operator == "~":
        return least, _next(major, minor, None)
    if operator == "^" and (major or minor is None):
        return least, (major + 1, 0, 0)
    if operator == "^" and minor:
        return least, (major, minor + 1, 0)
    return least, after


def _next(major: int, minor: Optional[int], patch: Optional[int]) -> Version:
    if minor is None:
        return major + 1, 0, 0
    return (major, minor + 1, 0) if patch is None else (major, minor, patch + 1)
