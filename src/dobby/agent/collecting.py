"""Copies of what globs name in a sandbox: a run's outputs."""

from __future__ import annotations

import errno
import os
import stat

from dobby.agent import durable, globs, trees
from dobby.agent.trees import join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_CHUNK = 1 << 20


def collect(sandbox: str, patterns: Iterable[str], into: str, but: Collection[bytes] = ()) -> list[str]:
    """Copy what matches (see `globs.find`), with all that lies below a directory, to the same
    relative paths in `into`; symlinks as symlinks, sockets and pipes not at all, nor what lies in
    the directories `but`.

    A file already there is replaced. Returns the paths copied, sorted. Raises OSError."""
    top, base = os.fsencode(sandbox), os.fsencode(into)
    if not trees.is_dir(top):
        return []
    durable.make_dirs(into)
    copied = set()
    for rel in sorted(globs.find(top, patterns)):
        rest = [] if _is_below(rel, but) else [rel]
        while rest:
            path = rest.pop()
            if path in copied or path in but:
                continue
            mode = os.lstat(join(top, path)).st_mode
            if stat.S_ISDIR(mode):
                rest += [join(path, entry.name) for entry in globs.children(top, path)]
                _clear_dirs(base, path)
            elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                _clear_dirs(base, os.path.dirname(path))
                _copy(join(top, path), join(base, path))
                copied.add(path)
    return sorted(path.decode("utf-8", "surrogateescape") for path in copied)


def _is_below(rel: bytes, places: Collection[bytes]) -> bool:
    return any(rel.startswith(place + b"/") for place in places)


def _clear_dirs(base: bytes, rel: bytes) -> None:
    """Make base/rel a real directory: a job may have put a symlink to elsewhere in its way."""
    path = base
    for part in filter(None, rel.split(b"/")):
        path = path + b"/" + part
        if not trees.is_dir(path):
            if trees.lstat(path) is not None:
                os.unlink(path)
            os.mkdir(path, trees.RWX)


def _copy(source: bytes, target: bytes) -> None:
    if trees.is_dir(target):
        trees.remove_tree(os.fsdecode(target))
    if os.path.islink(source):
        new = target + b".new-" + os.urandom(4).hex().encode()
        os.symlink(os.readlink(source), new)
        os.rename(new, target)
        return
    # O_NONBLOCK: a pipe put there since would keep us waiting for its writer
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if trees.lstat(target) is not None:
            os.unlink(target)
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _copy_bytes(fd, out)
            os.fchmod(out, stat.S_IMODE(found.st_mode))
            os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(out)
    finally:
        os.close(fd)


def _copy_bytes(source: int, target: int) -> None:
    """Within the kernel where it can (shared extents on btrfs and xfs), else by hand."""
    try:
        while os.copy_file_range(source, target, _CHUNK << 6):
            pass
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    while True:
        data = os.read(source, _CHUNK)
        if not data:
            return
        durable.write_all(target, data)
