"""What a build wrote into the checkout (a version file, a compiled module) is kept beside the
environment, and put back when a rerun finds the checkout without it.

The sandbox moves away all that git does not know before every run, while an editable install
may need it. Directories tagged as caches (https://bford.info/cachedir/) are left out.
"""

from __future__ import annotations

import os
import stat

from dobby.agent import durable, globs, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    Stamps = dict[bytes, tuple[int, int]]

_CHUNK = 1 << 20
_NEW, _CHANGED = b"+", b"~"


def look(sandbox: str, lodged: Collection[bytes]) -> Stamps:
    """Every file and symlink of the checkout, by relative path: size and date. Not what is
    `lodged` there."""
    top = os.fsencode(sandbox)
    return {rel: _stamp(top, rel) for rel in files(top, b"", lodged)}


def save(where: str, sandbox: str, before: Stamps, kept: Iterable[str], lodged: Collection[bytes]) -> None:
    """Copy what is new or other than `before`, but for what matches `kept`. Raises OSError."""
    top, store = os.fsencode(sandbox), _store(where)
    made = [rel for rel, stamp in look(sandbox, lodged).items() if before.get(rel) != stamp]
    stays = globs.find(top, kept) if made else set()
    listed = []
    for rel in made:
        if not _is_below(rel, stays):
            os.makedirs(os.path.dirname(store + b"/" + rel), 0o700, exist_ok=True)
            _copy(top + b"/" + rel, store + b"/" + rel)
            listed.append((_CHANGED if rel in before else _NEW) + rel)
    if listed:
        durable.replace(f"{where}/made.list", b"\0".join(listed))


def forget(where: str) -> None:
    """What was kept belongs to a build that no longer counts."""
    if os.path.exists(f"{where}/made.list"):
        os.unlink(f"{where}/made.list")
    trees.remove_tree(f"{where}/made")


def put_back(where: str, sandbox: str) -> None:
    """Copy into the checkout what is missing there, and what the build had changed. Nothing is
    written through a symlink, nor over what a job was to keep. Raises OSError."""
    listed = durable.read(f"{where}/made.list")
    if not listed:
        return
    top, store = os.fsencode(sandbox), _store(where)
    for entry in listed.split(b"\0"):
        rel = entry[1:]
        if trees.look(top, rel) is None:
            if not trees.make_way(top, rel):
                continue
        elif entry[:1] == _NEW or _stamp(top, rel) == _stamp(store, rel):
            continue
        else:
            os.unlink(top + b"/" + rel)
        _copy(store + b"/" + rel, top + b"/" + rel)


def _store(where: str) -> bytes:
    return os.fsencode(f"{where}/made")


def _stamp(top: bytes, rel: bytes) -> tuple[int, int]:
    found = os.lstat(top + b"/" + rel)
    return found.st_size, found.st_mtime_ns


def files(top: bytes, rel: bytes, but: Collection[bytes] = ()) -> Iterator[bytes]:
    """Files and symlinks below the directory `rel`, as paths relative to `top`; the directories
    `but` are left out."""
    entries = globs.children(top, rel)
    if rel and any(entry.name == b"CACHEDIR.TAG" for entry in entries):
        return
    for entry in entries:
        path = trees.join(rel, entry.name)
        if entry.is_dir(follow_symlinks=False):
            if entry.name != b"__pycache__" and path not in but:
                yield from files(top, path, but)
        elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
            yield path


def _is_below(rel: bytes, places: set[bytes]) -> bool:
    parts = rel.split(b"/")
    return any(b"/".join(parts[: n + 1]) in places for n in range(len(parts)))


def _copy(source: bytes, target: bytes) -> None:
    """Content or link, mode and date; `target` does not exist."""
    found = os.lstat(source)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), target)
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writer = os.open(target, flags, stat.S_IMODE(found.st_mode) | 0o200)
        try:
            while chunk := os.read(reader, _CHUNK):
                durable.write_all(writer, chunk)
            os.fchmod(writer, stat.S_IMODE(found.st_mode))
            os.utime(writer, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(writer)
    finally:
        os.close(reader)
