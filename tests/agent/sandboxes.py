"""A laptop's repository, the host's caches and a job's sandbox, for the tests of all three."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
from typing import TYPE_CHECKING

from tests.wait import until

from dobby.agent import objects, sandbox, spare
from dobby.agent.steps import Steps
from dobby.core import layout
from dobby.core.request import Module, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Entry = tuple[str, int, bytes]


def git(where: Path | str, *words: str | bytes, check: bool = True) -> str:
    """stdout of git with the account's own settings, as a job or a user runs it."""
    done = subprocess.run(["git", *words], cwd=where, capture_output=True)
    if check and done.returncode:
        raise AssertionError(f"git {words}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def put(top: Path | str, files: dict[str, str | bytes | None]) -> None:
    """Write files ("" as a value is an empty file, None removes)."""
    for name, content in files.items():
        path = os.path.join(top, name)
        if content is None:
            os.unlink(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())


def commit(top: Path | str, files: dict[str, str | bytes | None], message: str = "a change") -> str:
    """Write files and commit all; the commit's id."""
    put(top, files)
    git(top, "add", "-A", "-f")
    git(top, "-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", message)
    return git(top, "rev-parse", "HEAD")


def make_repo(path: Path, files: dict[str, str | bytes | None], object_format: str = "sha1") -> Path:
    path.mkdir(parents=True)
    git(path, "init", "-q", f"--object-format={object_format}")
    commit(path, files, "first")
    return path


def send(repo: Path, cache: str, want: Sequence[str], object_format: str = "sha1") -> None:
    """What the client does: a thin pack of `want` on top of what the cache has."""
    env = dict(os.environ)
    objects.ensure_cache(cache, object_format, env)
    known = set(git(repo, "rev-list", "--all").split())
    have = [tip for tip in objects.tips(cache) if tip in known]
    asked = "".join(f"{id}\n" for id in want) + "".join(f"^{id}\n" for id in have)
    packing = ["git", "pack-objects", "--thin", "--stdout", "--revs", "--delta-base-offset", "-q"]
    pack = subprocess.run(
        packing, cwd=repo, input=asked.encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    at = 0

    def read(most: int) -> bytes:
        nonlocal at
        part = pack[at : at + most]
        at += len(part)
        return part

    objects.receive(cache, read, env)


def listing(top: Path | str) -> list[Entry]:
    """Everything below `top` but .git: path, kind and exec bit, contents."""
    found: list[Entry] = []
    for directory, names, files in os.walk(top):
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            if name == ".git":
                continue
            mode = os.lstat(path).st_mode
            kind = stat.S_IFMT(mode) | (mode & 0o100 if stat.S_ISREG(mode) else 0)
            content = b""
            if stat.S_ISLNK(mode):
                content = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(mode):
                with open(path, "rb") as stream:
                    content = stream.read()
            found.append((os.path.relpath(path, top), kind, content))
        names[:] = [n for n in names if n != ".git"]
    return sorted(found)


def in_child(act: Callable[[], object]) -> int:
    """The pid of a process of its own that does `act`: it can be killed. It exits with 0, or 1
    where `act` has failed, and never goes on with the tests."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        act()
        code = 0
    finally:
        os._exit(code)


def wait_until_nobody_uses(top: Path) -> None:
    """git processes outlive a killed prepare for a moment; the label's lock, which they would
    hold, is not part of these tests."""

    def users() -> list[str]:
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(str(top)):
                    found.append(pid)
            except OSError:
                continue
        return found

    until(lambda: not users(), 10, users)


class Lab:
    """One project with one job. `run` does what a launch does; the run before it is "previous"."""

    def __init__(self, base: Path, laptop: Path, object_format: str = "sha1") -> None:
        self.base = base
        self.laptop = laptop
        self.object_format = object_format
        self.job = layout.Job(home=str(base / "dobby"), project="project", label="job")
        self.cache = self.job.of_project.cache
        self.sandbox = base / "dobby/projects/project/jobs/job/sandbox"
        self.log = b""
        self._numbers = itertools.count(1)
        self._previous = ""

    def forget(self) -> None:
        """The next run is a job's first one."""
        self._previous = ""

    def request(self, at: str = "", **more: object) -> Request:
        fields = {
            "run_id": f"run{next(self._numbers)}",
            "project": "project",
            "label": "job",
            "host": "local",
            "commit": at or git(self.laptop, "rev-parse", "HEAD"),
            "command": "true",
            "revision": "main",
            "branch": "main",
            "origin": "https://git.example.org/project.git",
            "object_format": self.object_format,
        }
        return Request(**{**fields, **more})  # type: ignore[arg-type]

    def run(self, at: str = "", seen: bytes = b"", **more: object) -> str:
        """Send, pin, prepare. The note."""
        request = self.request(at, **more)
        tags = [id for _, id in request.tags]
        if not os.path.isdir(self.cache) or not objects.holds(self.cache, request.commit):
            send(self.laptop, self.cache, [request.commit, *tags], self.object_format)
        objects.pin(self.cache, "job", request.commit)
        return self.prepare(request, seen)

    def make_spare(self) -> Path:
        """Where the project's spare now lies, of the laptop's HEAD, which the cache has."""
        made, nowhere = spare.at(self.job.of_project), os.open(os.devnull, os.O_RDWR)
        steps = Steps(dict(os.environ), nowhere, lambda *_: None)
        request = self.request()
        sandbox.make_spare(self.job.run(request.run_id), request, steps, made)
        os.close(nowhere)
        return self.base / made

    def prepare(self, request: Request, seen: bytes = b"") -> str:
        run = self.job.run(request.run_id)
        os.makedirs(run.root)
        log = os.open(run.log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        steps = Steps(dict(os.environ), log, lambda *_: None)
        steps.begin("sandbox")
        previous, self._previous = self._previous, request.run_id
        try:
            return sandbox.prepare(run, request, previous, steps, seen)
        finally:
            self.log = os.pread(log, 1 << 20, 0)
            os.close(log)

    def left(self, run_id: str = "run1") -> list[str]:
        """Paths of files and symlinks in the left/ of a run."""
        return [name for name, kind, _ in listing(self.job.run(run_id).left) if not stat.S_ISDIR(kind)]

    def expected(self, at: str = "") -> list[Entry]:
        """What a fresh clone holds at the commit (the laptop's HEAD)."""
        number = len(list(self.base.glob("clone*")))
        clone = self.base / f"clone{number}"
        git(self.base, "clone", "-q", "--no-local", str(self.laptop), str(clone))
        git(clone, "checkout", "-q", "--detach", at or git(self.laptop, "rev-parse", "HEAD"))
        return listing(clone)

    def assert_exact(self, at: str = "") -> None:
        """The sandbox holds the commit's files and nothing else, and git is content with it."""
        found, wanted_files = listing(self.sandbox), self.expected(at)
        assert found == wanted_files, f"{set(found) ^ set(wanted_files)}"
        assert git(self.sandbox, "status", "--porcelain", "--ignored") == ""
        wanted = at or git(self.laptop, "rev-parse", "HEAD")
        assert git(self.sandbox, "rev-parse", "HEAD") == wanted
        git(self.sandbox, "fsck", "--connectivity-only")


def module_of(path: str, repo: Path, name: str = "") -> Module:
    return Module(path=path, name=name or path, url=str(repo), commit=git(repo, "rev-parse", "HEAD"))
