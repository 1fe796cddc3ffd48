"""A laptop and a host of the campaign's own: an account's home, a repository, a real sshd."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import gitrepo, leftovers, stewards
from tests import sshd as sshd_module
from tests.client.carried import Carried
from tests.client.drive import masters
from tests.conftest import GIT_CONFIG, LEAK_NAMES, LEAKS, Host, empty
from tests.wait import until

from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A job that leaves one line for each time it is started.
RAN = 'echo "$DOBBY_RUN_ID" >> "$HOME/ran"'
FINAL_S = 60.0


class Lab:
    """`host` is reached over ssh; `folder` is a directory for what an experiment makes."""

    def __init__(self, folder: str, repo: gitrepo.Repo, sshd: sshd_module.Sshd) -> None:
        self.folder, self.repo, self.sshd = folder, repo, sshd
        self.host = Host(sshd.destination, f"{sshd.home}/.dobby", sshd)

    def client(self, say: Callable[[str], None] = lambda _: None, **environ: str) -> Client:
        """Each call of it is a session, as the command line's, which is what is planned to be cut."""
        environ = {**os.environ, **environ}
        return Client(cwd=self.repo.path, environ=environ, say=say, lasting=False)

    def launch(self, client: Client, command: str, run_id: str, **options: Any) -> Carried:
        options = {"host": self.host.name, "environment": ("none",), "run_id": run_id, **options}
        return Carried(client, self.host, client.run("main", command, **options))

    def final(self, label: str, run_id: str) -> dict[str, Any]:
        """A run's final state, once the host has come to it, asked by nobody."""
        path = f"{self.runs(label)}/{run_id}/final.json"
        until(lambda: os.path.exists(path), FINAL_S, evidence=lambda: self.look(label, run_id))
        with open(path) as file:
            state: dict[str, Any] = json.load(file)
        return state

    def runs(self, label: str) -> str:
        return f"{self.host.home}/projects/project/jobs/{label}/runs"

    def look(self, label: str, run_id: str) -> str:
        folder = Path(self.runs(label), run_id)
        names = sorted(os.listdir(folder)) if folder.is_dir() else "nothing"
        events = folder / "events.jsonl"
        return f"{folder}: {names}; {events.read_text() if events.exists() else ''}"

    def ran(self) -> Counter[str]:
        """How often each run's command was started."""
        with contextlib.suppress(FileNotFoundError), open(f"{self.sshd.home}/ran") as file:
            return Counter(file.read().split())
        return Counter()

    def torn(self) -> list[str]:
        """State files of runs that nobody can read."""
        found = []
        for path in Path(self.host.home, "projects").glob("*/jobs/*/runs/*/*.json*"):
            if path.suffix not in (".json", ".jsonl"):
                continue
            try:
                whole = path.read_text()
                lines = whole.splitlines() if path.suffix == ".jsonl" else [whole]
                for line in lines:
                    json.loads(line)
            except (ValueError, OSError) as error:
                found.append(f"{path}: {error}")
        return found

    def begin(self) -> None:
        """An empty host, apart from its agents."""
        stewards.end(self.host.home)
        empty(self.host.home)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.sshd.home}/ran")

    def directory(self, name: str) -> str:
        path = f"{self.folder}/{name}"
        os.makedirs(path)
        return path


@contextlib.contextmanager
def made() -> Iterator[Lab]:
    """A lab, of which nothing is left afterwards: what is found then is an error."""
    if sshd_module.program() is None:
        sys.exit("the campaign needs sshd: install openssh-server")
    mark = secrets.token_hex(8)
    folder = tempfile.mkdtemp(prefix="dc-")
    before = dict(os.environ)
    _isolate(folder, mark)
    try:
        with sshd_module.serve(mark) as sshd:
            os.environ.update(sshd.env)
            yield Lab(folder, gitrepo.example(f"{folder}/project"), sshd)
            stewards.end(f"{sshd.home}/.dobby")
            for pid in masters(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 15)
        left = leftovers.reap(mark)
        if left:
            raise AssertionError(f"left running: {'; '.join(left)}")
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _isolate(folder: str, mark: str) -> None:
    """An account with a git identity and nothing else; all that is started bears the mark."""
    for name in list(os.environ):
        if name.startswith((*LEAKS, "GIT_")) or name in LEAK_NAMES:
            del os.environ[name]
    os.makedirs(f"{folder}/run", 0o700)
    Path(folder, ".gitconfig").write_text(GIT_CONFIG)
    os.environ.update(
        {
            leftovers.MARK: mark,
            "HOME": folder,
            "DOBBY_HOME": f"{folder}/.dobby",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "GIT_CONFIG_GLOBAL": f"{folder}/.gitconfig",
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
        }
    )
