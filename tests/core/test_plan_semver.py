"""Ranges of node's versions, as package.json and .nvmrc write them."""

from __future__ import annotations

import pytest

from dobby.core import semver


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("20", [((20, 0, 0), (21, 0, 0))]),
        ("v18.20", [((18, 20, 0), (18, 21, 0))]),
        ("18.20.4", [((18, 20, 4), (18, 20, 5))]),
        ("18.x", [((18, 0, 0), (19, 0, 0))]),
        ("^18.2.1", [((18, 2, 1), (19, 0, 0))]),
        ("^0.3.1", [((0, 3, 1), (0, 4, 0))]),
        ("^0.0.3", [((0, 0, 3), (0, 0, 4))]),
        ("~1.2.3", [((1, 2, 3), (1, 3, 0))]),
        ("~1", [((1, 0, 0), (2, 0, 0))]),
        (">= 18", [((18, 0, 0), None)]),
        (">18", [((19, 0, 0), None)]),
        ("<=18.2", [((0, 0, 0), (18, 3, 0))]),
        (">=18.17 <19 || >=20", [((18, 17, 0), (19, 0, 0)), ((20, 0, 0), None)]),
        ("16 - 18", [((16, 0, 0), (19, 0, 0))]),
        ("*", [((0, 0, 0), None)]),
        ("", [((0, 0, 0), None)]),
        ("lts/*", None),
        ("node", None),
        ("18.1.2.3", None),
        ("20 || lts/iron", None),
    ],
)
def test_spans(text: str, spans: object) -> None:
    assert semver.spans(text) == spans
