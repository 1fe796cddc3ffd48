"""Contents that git does not carry, each by its SHA-256: of Git LFS, and what `include` names.

One store a project, shared by its sandboxes, which get copies: a job may write in place.

    <project>/blobs/
      lock                   flocked while a need is noted, and while what nobody needs is removed
      boot                   the boot in which small contents were last looked at, or written
      objects/aa/bb/<sha256> a content, verified on arrival, 0600; the layout is git-lfs's
      lfs/<commit>.json      the commit's files under Git LFS (agent/lfs.py)
      whole/<id>             there when all is here that a commit's list, or a manifest, names: the boot id
    <job>/needs/<run id>     JSON: the `commits` and the `manifest` whose contents that run needs
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from dobby.agent import clock, durable, locks
from dobby.core import json
from dobby.core import manifest as mf
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Optional

    from dobby.core import layout

_CHUNK = 1 << 18
_STRIDE = 1 << 26
_SYNC_BYTES = 1 << 20  # smaller ones are not fsynced, and looked at after a reboot (`_look_again`)
_UNBORN_S = 86400.0  # a run's need before its directory exists
_FICLONE = 0x40049409  # ioctl_ficlone(2)
_NO_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


class Store:
    """The contents of one project, below the directory `root`."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, id: str) -> str:
        """Where the content of this SHA-256 lies, or would."""
        mf.check_sha256(id)
        return f"{self.root}/objects/{id[:2]}/{id[2:4]}/{id}"

    def has(self, id: str, size: int) -> bool:
        try:
            return os.lstat(self.path(id)).st_size == size
        except FileNotFoundError:
            return False

    def missing(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Those of `wanted` (SHA-256 -> bytes) that are not here."""
        return {id: size for id, size in wanted.items() if not self.has(id, size)}

    def read(self, id: str) -> Optional[bytes]:
        """A small content, None where it is not here, or damaged."""
        data = durable.read(self.path(id))
        return data if data is not None and sha256(data).hexdigest() == id else None

    def receive(self, id: str, source: Callable[[int], bytes]) -> None:
        """Take the content that `source` gives until b"". Raises DobbyError where it is another."""
        path = self.path(id)
        durable.make_dirs(os.path.dirname(path))
        temp = f"{path}.{os.urandom(4).hex()}.new"
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            got, size = sha256(), 0
            while chunk := source(_CHUNK):
                durable.write_all(fd, chunk)
                got.update(chunk)
                size += len(chunk)
            if got.hexdigest() != id:
                raise DobbyError(
                    "a file changed while it was being sent", "the same command sends it again as it is now"
                )
            if size >= _SYNC_BYTES:
                os.fsync(fd)
            os.rename(temp, path)
        except BaseException:
            os.unlink(temp)
            raise
        finally:
            os.close(fd)

    def copy(self, id: str, target: bytes, mode: int) -> None:
        """Write the content to `target`, which must not exist: a copy that shares blocks with the
        store where the filesystem can, never a link."""
        source = os.open(self.path(id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            writer = os.open(target, flags, 0o600)
            try:
                if not _clone(source, writer):
                    _pour(source, writer)
                os.fchmod(writer, mode)
            finally:
                os.close(writer)
        finally:
            os.close(source)

    # --- lists of what belongs together ------------------------------------------------------

    def is_whole(self, id: str) -> bool:
        """Whether all is here that the list of this id names: it was, and nothing of it goes while
        a job needs it. Believed for one boot: what was not fsynced goes with a power cut."""
        return durable.read(f"{self.root}/whole/{id}") == clock.boot_id().encode()

    def note_whole(self, id: str) -> None:
        durable.make_dirs(f"{self.root}/whole")
        durable.replace(f"{self.root}/whole/{id}", clock.boot_id().encode())

    def lfs_list(self, commit: str) -> str:
        return f"{self.root}/lfs/{commit}.json"

    def manifest(self, id: str) -> list[mf.Item]:
        """Raises DobbyError where it is not here."""
        text = self.read(id)
        if text is None:
            raise DobbyError("the list of the included files is not on this host any more")
        return mf.parse_manifest(text)

    # --- needs -------------------------------------------------------------------------------

    def note_need(self, run: layout.Run, commits: Iterable[str], manifest: str) -> None:
        """From here on nothing goes that this run needs, and what is here is what was written. Durable."""
        durable.make_dirs(self.root)
        durable.make_dirs(run.job.needs)
        lock = self._lock()
        try:
            need = durable.dump_json({"commits": list(commits), "manifest": manifest})
            durable.replace(f"{run.job.needs}/{run.run_id}", need)
            self._look_again()
        finally:
            locks.release(lock)

    def _look_again(self) -> None:
        """Once in a boot: small contents that an earlier one wrote may have lost their bytes, and not their
        size, at a power cut. They go, and are asked for again. The caller holds the lock."""
        note, boot = f"{self.root}/boot", clock.boot_id().encode()
        if durable.read(note) == boot:
            return
        for folder, _, names in os.walk(f"{self.root}/objects"):
            for name in names:
                path = f"{folder}/{name}"
                if os.lstat(path).st_size < _SYNC_BYTES and len(name) == 64 and self.read(name) is None:
                    durable.discard(path)
        durable.replace(note, boot)

    def secure(self, ids: Iterable[str]) -> None:
        """Those that another program has written become as durable as ours."""
        for path in map(self.path, ids):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_size >= _SYNC_BYTES:
                    os.fsync(fd)
            finally:
                os.close(fd)

    def drop_unneeded(self, needs: Iterable[str]) -> int:
        """Remove what no file of the directories `needs` asks for; the bytes that are freed."""
        if not os.path.isdir(self.root):
            return 0
        lock = self._lock()
        try:
            return self._drop({id for folder in needs for id in _needed(folder)})
        finally:
            locks.release(lock)

    def _lock(self) -> int:
        fd = locks.take(f"{self.root}/lock", wait=True)
        assert fd is not None  # noqa: S101 - it waited
        return fd

    def _drop(self, lists: set[str]) -> int:
        contents = {id for id in lists if len(id) == 64}
        for id in lists:
            text = durable.read(self.lfs_list(id))
            if text is not None:
                contents |= {row[1] for row in json.loads(text)}
            elif (text := durable.read(self.path(id)) if len(id) == 64 else None) is not None:
                contents |= {item.sha256 for item in mf.parse_manifest(text)}
        for folder in ("whole", "lfs"):
            for name in durable.names(f"{self.root}/{folder}"):
                if name.removesuffix(".json") not in lists:
                    os.unlink(f"{self.root}/{folder}/{name}")
        freed = 0
        for folder, _, names in os.walk(f"{self.root}/objects"):
            for name in names:
                if name not in contents and not _arrives(f"{folder}/{name}"):
                    freed += os.lstat(f"{folder}/{name}").st_blocks * 512
                    os.unlink(f"{folder}/{name}")
        return freed


def _arrives(path: str) -> bool:
    """Whether a launch may be writing it just now."""
    return path.endswith(".new") and time.time() - os.lstat(path).st_mtime < _UNBORN_S


def _clone(source: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _pour(source: int, writer: int) -> None:
    """Copy within the kernel as far as it will (copy_file_range(2)), and the rest by hand."""
    try:
        while os.copy_file_range(source, writer, _STRIDE):
            continue
    except (AttributeError, OSError):  # not Linux; or not on this filesystem, or it is full
        pass
    while chunk := os.read(source, _CHUNK):
        durable.write_all(writer, chunk)


def _needed(folder: str) -> list[str]:
    """The ids of the lists that the needs in `folder` name."""
    found: list[str] = []
    for name in durable.names(folder):
        data = durable.read(f"{folder}/{name}")
        need: dict[str, Any] = json.loads(data) if data else {}
        found += [*need.get("commits", ()), *filter(None, [need.get("manifest", "")])]
    return found


def forget_needs(job: layout.Job) -> None:
    """The job's runs need nothing any more: its sandbox is gone. One that is being launched, and
    has no directory yet, keeps its need."""
    for name in durable.names(job.needs):
        path = f"{job.needs}/{name}"
        if os.path.isdir(f"{job.runs}/{name}") or time.time() - os.lstat(path).st_mtime > _UNBORN_S:
            os.unlink(path)
