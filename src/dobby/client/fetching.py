"""Files of a run come to the laptop: rsync where both sides have it, else one tar stream.

They arrive in a directory of their own first and are then moved into place one by one, so
that a cut leaves nothing half written and no file that differs is overwritten unasked.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from dobby.client import unpacking
from dobby.core import protocol
from dobby.core.errors import DobbyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from dobby.client.hosts import Hosts

    Progress = Callable[[str, int, int | None], None]

_GIT_S = (".git", "git~1")  # in any case, as file systems may have it


def fetch(
    hosts: Hosts, host: str, args: dict[str, Any], to: str, overwrite: bool, progress: Progress
) -> dict[str, Any]:
    """Answers `run to files bytes unchanged`, `differs` (paths that were left as they are),
    `outside` (links that lead out of what was fetched, and were left there) and `repositories` (git
    directories, which were left there too).

    `args` as the agent's `fetch` takes them. Raises DobbyError; nothing is lost then."""
    plan = hosts.call(host, "fetch", {**args, "plan": True}, more=True)
    made = not os.path.isdir(to)
    os.makedirs(to, exist_ok=True)
    staging = f"{os.path.abspath(to)}/.dobby-fetch-{os.urandom(4).hex()}"
    os.mkdir(staging, 0o700)
    try:
        if not (plan["rsync"] and _rsync(hosts, host, plan, staging, os.path.abspath(to), progress)):
            _untar(hosts, host, args, plan, staging, progress)
        moved = _Moved(to, overwrite)
        moved.take(staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not os.listdir(to):
            os.rmdir(to)
    return {
        "run": plan["run"],
        "to": to,
        "files": moved.files,
        "bytes": moved.bytes,
        "unchanged": moved.unchanged,
        "differs": moved.differs,
        "outside": [*plan["outside"], *moved.outside],
        "repositories": sorted(moved.repositories),
    }


def _rsync(
    hosts: Hosts, host: str, plan: dict[str, Any], staging: str, to: str, progress: Progress
) -> bool:
    """rsync(1): names go by --files-from, the remote path by -s: no shell sees them. What is here
    already is copied from here (--copy-dest). False where there is no rsync, or it fails (an
    old one, login files that print): the tar stream needs nothing of it."""
    way = hosts.transport(host).rsync() if shutil.which("rsync") else None
    if way is None:
        return False
    options, prefix = way
    argv = [
        *("rsync", "-rlptE", "--chmod=Du+rwx,ug-s,o-t", "--safe-links", "-s"),
        *("--from0", "--files-from=-", f"--copy-dest={to}", "--info=progress2", "--no-h", "--outbuf=N"),
        *(*options, "--", f"{prefix}{plan['root']}/", f"{staging}/"),
    ]
    names = b"".join(os.fsencode(name) + b"\0" for name in plan["paths"])
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        _feed(process, names)
        _show_progress(process, plan["bytes"], progress)
    if process.returncode:
        shutil.rmtree(staging)
        os.mkdir(staging, 0o700)
    return process.returncode == 0


def _feed(process: subprocess.Popen[bytes], names: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - it has a pipe
    try:
        process.stdin.write(names)
        process.stdin.close()
    except BrokenPipeError:
        return  # its exit code says that it failed


def _show_progress(process: subprocess.Popen[bytes], total: int, progress: Progress) -> None:
    """Lines of --info=progress2 end in a carriage return and begin with the bytes so far."""
    assert process.stdout is not None  # noqa: S101 - it has a pipe
    rest = b""
    while part := os.read(process.stdout.fileno(), 4096):
        *lines, rest = (rest + part).replace(b"\n", b"\r").split(b"\r")
        for line in lines:
            first = line.split()[:1]
            if first and first[0].isdigit():
                progress("fetching", min(int(first[0]), total), total)


def _untar(
    hosts: Hosts,
    host: str,
    args: dict[str, Any],
    plan: dict[str, Any],
    staging: str,
    progress: Progress,
) -> None:
    """The stream is unpacked by a thread while replies come in through a pipe."""
    from threading import Thread

    read_fd, write_fd = os.pipe()
    failures: list[Exception] = []

    def unpack() -> None:
        with os.fdopen(read_fd, "rb") as stream:
            try:
                unpacking.extract(stream, staging)
            except Exception as error:
                failures.append(error)
            while stream.read(1 << 16):  # let the sender finish
                pass

    thread = Thread(target=unpack, daemon=True)
    thread.start()
    got = 0

    def on_reply(kind: str, payload: bytes) -> None:
        nonlocal got
        if kind == protocol.DATA:
            got += len(payload)
            sink.write(payload)
            progress("fetching", min(got, plan["bytes"]), plan["bytes"])

    try:
        with os.fdopen(write_fd, "wb") as sink:
            hosts.call(host, "fetch", args, on_reply)
    finally:
        thread.join()
    if failures:
        raise DobbyError(f"what {host} sent could not be unpacked: {failures[0]}")


class _Moved:
    """Moves arrived files into place and counts them. A `.git` stays out, as in git's own checkouts:
    its hooks and settings would run programs here, at the latest when a prompt asks for the status."""

    def __init__(self, to: str, overwrite: bool) -> None:
        self.to, self.overwrite = to, overwrite
        self.files = self.bytes = self.unchanged = 0
        self.differs: list[str] = []
        self.outside: list[str] = []
        self.repositories: set[str] = set()

    def take(self, staging: str) -> None:
        arrived = [(path, name) for path, name in _walk(staging) if not self._is_git_s(name)]
        links: list[str] = []
        for _, name in arrived:
            self._check_way(name)
        for path, name in arrived:
            target = f"{self.to}/{name}"
            if os.path.lexists(target):
                if _same(path, target):
                    self.unchanged += 1
                    continue
                if not self.overwrite:
                    self.differs.append(name)
                    continue
                if os.path.isdir(target) and not os.path.islink(target):
                    raise UsageError(f"{target} is a directory here, a file there", "move it away first")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(path, target)
            self.files += 1
            self.bytes += os.lstat(target).st_size
            links += [name] if os.path.islink(target) else []
        for name in links:
            self._check_link(name)

    def _is_git_s(self, name: str) -> bool:
        parts = name.split("/")
        for at, part in enumerate(parts, 1):
            if part.lower() in _GIT_S:
                self.repositories.add("/".join(parts[:at]))
                return True
        return False

    def _check_link(self, name: str) -> None:
        """By its text it stays inside; by way of other links it may not."""
        path, top = f"{self.to}/{name}", os.path.realpath(self.to)
        if not f"{os.path.realpath(path)}/".startswith(f"{top}/"):
            self.files, self.bytes = self.files - 1, self.bytes - os.lstat(path).st_size
            os.unlink(path)
            self.outside.append(name)

    def _check_way(self, name: str) -> None:
        """Nothing is written through a link: an earlier fetch may have brought it."""
        at = self.to
        for part in name.split("/")[:-1]:
            at = f"{at}/{part}"
            if os.path.islink(at) or (os.path.lexists(at) and not os.path.isdir(at)):
                raise UsageError(f"{at} is no directory here, but one there", "move it away first")


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """(path, name below root) of every file and link, sorted."""
    for base, folders, files in os.walk(root):
        links = [f for f in folders if os.path.islink(f"{base}/{f}")]
        for name in sorted([*files, *links]):
            path = f"{base}/{name}"
            yield path, os.path.relpath(path, root)


def _same(one: str, other: str) -> bool:
    if os.path.islink(one) or os.path.islink(other):
        both = os.path.islink(one) and os.path.islink(other)
        return both and os.readlink(one) == os.readlink(other)
    if not os.path.isfile(other) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as left, open(other, "rb") as right:
        while chunk := left.read(1 << 18):
            if chunk != right.read(1 << 18):
                return False
    return True
