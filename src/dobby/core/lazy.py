"""Regular expressions that are compiled when they are first used.

The agent and the client start afresh for every verb, and one verb uses few of the fifty that its
modules hold: together these took 6 ms of every start.
"""

from __future__ import annotations

import re

__all__ = ["regex"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile as regex
else:

    class regex:
        """As `re.compile(text, flags)`; what is wrong with the text is said at the first use."""

        def __init__(self, text, flags=0):
            self._text, self._flags = text, flags

        def __getattr__(self, name):  # asked only for what is not there yet
            value = getattr(re.compile(self._text, self._flags), name)
            setattr(self, name, value)
            return value
