"""Regular expressions that are compiled at their first use."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dobby
from dobby.core import lazy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_what_is_made_is_a_regular_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    compile_now = re.compile

    def noting(text: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append((text, flags))
        return compile_now(text, flags)

    monkeypatch.setattr(re, "compile", noting)
    word = lazy.regex(r"\bway\b", re.I)
    assert compiled == []
    assert [word.sub("path", text) for text in ("This Way", "away")] == ["This path", "away"]
    assert word.match("way out") is not None
    assert set(compiled) == {(r"\bway\b", re.I)}


def test_what_is_made_once() -> None:
    made: list[str] = []

    def make() -> int:
        made.append("made")
        return 7

    get = lazy.once(make)
    assert made == []
    assert [get(), get()] == [7, 7]
    assert made == ["made"]


def test_every_one_of_them_is_sound() -> None:
    """A wrong one would be noticed when it is wanted, and not before."""
    found = [(name, one) for name, one in _all() if one.pattern is not None]
    assert len(found) > 40, found


def test_no_module_compiles_one_at_its_import() -> None:
    source = Path(dobby.__path__[0])
    made = re.compile(r"^\w+ = re\.compile\(", re.M)
    assert [file for file in source.rglob("*.py") if made.search(file.read_text())] == []


def _all() -> Iterator[tuple[str, Any]]:
    for info in pkgutil.walk_packages(dobby.__path__, "dobby."):
        if info.name.rpartition(".")[2] in ("__main__", "loader"):
            continue
        for value in vars(importlib.import_module(info.name)).values():
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, lazy.regex):  # type: ignore[arg-type]
                    yield info.name, one
