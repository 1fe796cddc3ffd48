"""What the tests of the client share: a host that is reached by ssh alone, over connections that the
test makes and loses itself; an ear on what hosts ask for."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING

import pytest
from tests.client.drive import masters
from tests.conftest import Host, empty

from dobby.client.contents import Contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sshd import Sshd


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A runtime directory of this test alone, so that it makes and loses its own connections."""
    directory = tempfile.mkdtemp(prefix="dt-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
    yield directory
    for pid in masters(directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def ssh_host(sshd: Sshd, monkeypatch: pytest.MonkeyPatch, runtime: str) -> Host:
    for name, value in sshd.env.items():
        monkeypatch.setenv(name, value)
    empty(f"{sshd.home}/.dobby")
    return Host(sshd.destination, f"{sshd.home}/.dobby", sshd)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many contents were asked for, a number a question."""
    asked: list[int] = []
    answer = Contents.answer

    def noted(self: Contents, repository: str, wanted: list[tuple[str, int]]) -> Iterator[bytes]:
        asked.append(len(wanted))
        return answer(self, repository, wanted)

    monkeypatch.setattr(Contents, "answer", noted)
    return asked
