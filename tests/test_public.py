"""What Python users may import from `dobby`: this list changes with the changelog, never by chance."""

from __future__ import annotations

import dobby

PUBLIC = ["Bug", "Busy", "Client", "DobbyError", "Listing", "NotFound", "Run", "Unreachable", "UsageError"]


def test_the_public_names_are_these_and_exist() -> None:
    assert dobby.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(dobby, name)] == []
