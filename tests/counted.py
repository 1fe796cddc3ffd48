"""git, with each call written down."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Counted:
    """A program of git's name in front of the real one, on PATH."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls = tmp_path / "calls"
        program = tmp_path / "counted" / "git"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$*" >> {self._calls}\nexec {shutil.which("git")} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def since(self) -> list[str]:
        """The calls since the last time."""
        calls = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return calls
