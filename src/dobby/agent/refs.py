"""A ref of an object cache, as the file that git keeps it in."""

from __future__ import annotations

import os
import time

from dobby.agent import durable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

_PATIENCE_S = 10.0  # git holds the lock of one ref for milliseconds
_STALE_S = 60.0


def read(path: str) -> str:
    """The id that the ref's file holds; "" where there is none (or `git pack-refs` has it)."""
    try:
        with open(path, encoding="ascii", errors="replace") as ref:
            return ref.read().strip()
    except FileNotFoundError:
        return ""


def newest(git_dir: str, folders: Iterable[str], most: int) -> list[str]:
    """Up to `most` ids that the refs right below `folders` hold, each once: what was written last first,
    and what `git pack-refs` has put away."""
    found = []
    for folder in folders:
        for name in durable.names(f"{git_dir}/{folder}"):
            path = f"{git_dir}/{folder}/{name}"
            try:
                found.append((os.stat(path).st_mtime_ns, path))
            except FileNotFoundError:
                continue
    ids: dict[str, None] = {}
    for _, path in sorted(found, reverse=True):
        ids.setdefault(read(path))
        if len(ids) == most:
            break
    packed = (durable.read(f"{git_dir}/packed-refs") or b"").decode("utf-8", "surrogateescape").splitlines()
    away = (line.partition(" ") for line in packed)
    ids.update((id, None) for id, _, name in away if name.rpartition("/")[0] in folders)
    return [*filter(_is_id, ids)][:most]


def _is_id(text: str) -> bool:
    return len(text) in (40, 64) and not text.strip("0123456789abcdef")


def write(path: str, id: str) -> None:
    """Make the ref say `id`, durably. Costs nothing where it does.

    By git's own protocol, `<ref>.lock` then rename: a `git pack-refs` at the same moment
    would otherwise remove the new value as if it were the one it has packed."""
    if read(path) == id:
        return
    durable.make_dirs(os.path.dirname(path))
    fd = _lock(f"{path}.lock")
    try:
        durable.write_all(fd, f"{id}\n".encode("ascii"))
        os.fsync(fd)
        os.rename(f"{path}.lock", path)
    except OSError:
        os.unlink(f"{path}.lock")
        raise
    finally:
        os.close(fd)
    durable.sync_dir(os.path.dirname(path))


def _lock(path: str) -> int:
    """The lock file of a ref. One that nobody has touched for far longer than any git holds
    it was left by a killed one, and is taken over."""
    seen: Optional[tuple[int, int]] = None
    since = 0.0
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue
        this = (found.st_ino, found.st_mtime_ns)
        if this != seen:
            seen, since = this, time.monotonic()
        if time.time() - found.st_mtime > _STALE_S or time.monotonic() - since > _PATIENCE_S:
            os.unlink(path)
        time.sleep(0.01)
