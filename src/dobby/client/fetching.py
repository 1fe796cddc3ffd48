"""Files of a run come to the laptop: rsync where both sides have it, else one tar stream.

They arrive in a directory of their own first and are then moved into place one by one, so
that a cut leaves nothing half written and no file that differs is overwritten unasked.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from dobby.core import protocol
from dobby.core.errors import DobbyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from dobby.client.hosts import Hosts

    Progress = Callable[[str, int, "int | None"], None]


def fetch(
    hosts: Hosts, host: str, args: dict[str, Any], to: str, overwrite: bool, progress: Progress
) -> dict[str, Any]:
    """Answers `run to files bytes unchanged differs` (paths that were left as they are).

    `args` as the agent's `fetch` takes them. Raises DobbyError; nothing is lost then."""
    plan = hosts.call(host, "fetch", {**args, "plan": True})
    os.makedirs(to, exist_ok=True)
    staging = f"{os.path.abspath(to)}/.dobby-fetch-{os.urandom(4).hex()}"
    os.mkdir(staging, 0o700)
    try:
        by_rsync = plan["rsync"] and shutil.which("rsync") is not None
        way = hosts.transport(host).rsync() if by_rsync else None
        if way is not None:
            _rsync(way, plan, staging, os.path.abspath(to))
        else:
            _untar(hosts, host, args, plan, staging, progress)
        moved = _Moved(to, overwrite)
        moved.take(staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {
        "run": plan["run"],
        "to": to,
        "files": moved.files,
        "bytes": moved.bytes,
        "unchanged": moved.unchanged,
        "differs": moved.differs,
    }


def _rsync(way: tuple[list[str], str], plan: dict[str, Any], staging: str, to: str) -> None:
    """rsync(1): names go by --files-from, the remote path by --secluded-args: no shell sees them.
    What is here already is copied from here (--copy-dest)."""
    options, prefix = way
    argv = [
        *("rsync", "-rlptE", "--safe-links", "-s", "--from0", "--files-from=-", f"--copy-dest={to}"),
        *(["--info=progress2"] if os.isatty(2) else []),
        *(*options, "--", f"{prefix}{plan['root']}/", f"{staging}/"),
    ]
    names = b"".join(os.fsencode(name) + b"\0" for name in plan["paths"])
    done = subprocess.run(argv, input=names, stdout=2, check=False)
    if done.returncode:
        raise DobbyError(
            f"rsync failed (exit {done.returncode})", "repeat the command: what had arrived was not used"
        )


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
                _extract(stream, staging)
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

    with os.fdopen(write_fd, "wb") as sink:
        hosts.call(host, "fetch", args, on_reply)
    thread.join()
    if failures:
        raise DobbyError(f"what {host} sent could not be unpacked: {failures[0]}")


def _extract(stream: Any, staging: str) -> None:
    """Only files, directories and links that stay inside: the host may be hostile (PEP 706)."""
    import tarfile

    links = []
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
        for member in tar:
            path = _inside(staging, member.name)
            if member.isdir():
                os.makedirs(path, exist_ok=True)
            elif member.issym():
                links.append((path, member.name, member.linkname))
            elif member.isreg():
                _write_file(tar, member, path)
            elif member.islnk():
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.link(_inside(staging, member.linkname), path)
    for path, name, target in links:  # last, so that nothing is written through one
        _inside(staging, os.path.join(os.path.dirname(name), target))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)


def _inside(root: str, name: str) -> str:
    path = os.path.normpath(f"{root}/{name}")
    if name.startswith("/") or not path.startswith(f"{root}/"):
        raise DobbyError(f"{name!r} would leave the directory")
    return path


def _write_file(tar: Any, member: Any, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    source = tar.extractfile(member)
    with open(path, "xb") as file:
        shutil.copyfileobj(source, file, 1 << 18)
    os.chmod(path, member.mode & 0o777)
    os.utime(path, (member.mtime, member.mtime))


class _Moved:
    """Moves arrived files into place and counts them."""

    def __init__(self, to: str, overwrite: bool) -> None:
        self.to, self.overwrite = to, overwrite
        self.files = self.bytes = self.unchanged = 0
        self.differs: list[str] = []

    def take(self, staging: str) -> None:
        for path, name in _walk(staging):
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
