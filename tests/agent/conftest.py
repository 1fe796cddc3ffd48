"""A job on a host that reaches no package index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place, offline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the installers: what one test has built the next need not build again."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def place(tmp_path: Path, caches: Path) -> Place:
    return offline(tmp_path, caches)
