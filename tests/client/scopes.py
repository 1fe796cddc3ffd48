"""This machine with a stand-in for `systemd-run`: see test_scope.py for what that proves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.client.carried import Carried, launch
from tests.conftest import Host

from dobby import Client

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.gitrepo import Repo


# What `loginctl show-user NAME --property=Linger --value` says of an account that lingers.
LINGERS = "#!/bin/sh\necho yes\n"


class Scoped:
    """This machine with a stand-in for systemd-run, and a private socket's name where it looks."""

    def __init__(self, home: Path, client: Client, host: Host) -> None:
        self.home, self.client, self.host = home, client, host

    def argv(self) -> list[str]:
        with open(self.home / "systemd-run.argv") as file:
            return file.read().splitlines()

    def launch(self, command: str, **options: Any) -> Carried:
        return launch(self.client, self.host, command, **options)


def make_scoped(
    home: Path, repo: Repo, directory: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> Scoped:
    """`script` as systemd-run in PATH, and a socket's name where a user manager is looked for."""
    runtime, programs = directory / "run", directory / "bin"
    (runtime / "systemd").mkdir(parents=True)
    (runtime / "systemd" / "private").touch()
    programs.mkdir()
    for name, text in (("systemd-run", script), ("loginctl", LINGERS)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Scoped(home, Client(cwd=repo.path), Host("local", str(home / ".dobby")))
