"""Files of a sandbox, in which nothing can be trusted: no symlink is ever followed.

Paths inside a sandbox are bytes relative to its top: names are what git says, not text.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_DEEP = 64  # directories are held open on the way down: 1024 may be the limit
RWX = 0o700


def look(top: bytes, rel: bytes) -> Optional[os.stat_result]:
    """lstat of `rel`, None where it is absent or lies behind anything but real directories."""
    path = top
    parts = rel.split(b"/")
    for part in parts[:-1]:
        path = path + b"/" + part
        found = lstat(path)
        if found is None or not stat.S_ISDIR(found.st_mode):
            return None
    return lstat(path + b"/" + parts[-1])


def lstat(path: bytes) -> Optional[os.stat_result]:
    """What stands at `path` itself, None where nothing does."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_dir(path: bytes) -> bool:
    """Whether `path` itself is a real directory."""
    found = lstat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_file(path: bytes) -> bool:
    """Whether `path` itself is a regular file."""
    found = lstat(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def holds_anything(path: bytes) -> bool:
    """Whether `path` is anything but an empty directory."""
    return not is_dir(path) or bool(entries(path))


def holds_files(path: bytes) -> bool:
    """Whether anything but directories lies at or below `path`; yes, where it is too deep to tell."""
    if not is_dir(path):
        return True
    rest = [path]
    while rest:
        try:
            found = entries(rest.pop())
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return True
            raise
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                return True
            rest.append(entry.path)
    return False


def entries(path: bytes) -> list[os.DirEntry[bytes]]:
    """A directory's entries; one that a job has closed to us (chmod) is opened."""
    try:
        with os.scandir(path) as found:
            return list(found)
    except PermissionError:
        os.chmod(path, RWX)
        with os.scandir(path) as found:
            return list(found)


def open_up(top: bytes) -> None:
    """Let us read, write and search every directory at and below `top`."""
    rest = [top]
    while rest:
        path = rest.pop()
        mode = os.lstat(path).st_mode
        if mode & RWX != RWX:
            os.chmod(path, stat.S_IMODE(mode) | RWX)
        rest += [e.path for e in entries(path) if e.is_dir(follow_symlinks=False)]


# --- moving ------------------------------------------------------------------------------


def make_dirs(base: bytes, rel: bytes) -> bytes:
    """The real directory base/rel, made where absent. What stands in its way (a file, a
    symlink) is left alone, and a free name beside it is taken instead."""
    path = base
    for part in filter(None, rel.split(b"/")):
        path = path + b"/" + part
        if not is_dir(path):
            path = free(path)
            os.mkdir(path, RWX)
    return path


def join(rel: bytes, name: bytes) -> bytes:
    """rel/name, where either may be empty."""
    return rel + b"/" + name if rel and name else rel or name


def make_way(top: bytes, rel: bytes) -> bool:
    """Whether `rel` can lie below `top`: the directories above it are made where they are absent, and
    what else stands in their way is left alone."""
    path = top
    for part in rel.split(b"/")[:-1]:
        path = path + b"/" + part
        if lstat(path) is None:
            os.mkdir(path)  # the umask is dobby's: 077, or what `readable_by` lets in
        elif not is_dir(path):
            return False
    return True


def free(path: bytes) -> bytes:
    """`path`, or the first of path~1, path~2 … at which there is nothing."""
    number, name = 0, path
    while lstat(name) is not None:
        number += 1
        name = b"%b~%d" % (path, number)
    return name


def move(source: bytes, target: bytes) -> None:
    """Rename. A directory that its job made read-only is opened: rename writes to it (its
    "..") and to its parent (rename(2), EACCES)."""
    try:
        os.rename(source, target)
    except PermissionError:
        os.chmod(os.path.dirname(source), RWX)
        if is_dir(source):
            os.chmod(source, RWX)
        os.rename(source, target)


def bring_back(old: bytes, new: bytes, rel: bytes) -> None:
    """Move old/rel to new/rel, but for what new has already, or has a file in the way of."""
    if look(old, rel) is None:
        return
    if look(new, rel) is not None:
        if is_dir(old + b"/" + rel) and is_dir(new + b"/" + rel):
            for entry in entries(old + b"/" + rel):
                bring_back(old, new, rel + b"/" + entry.name)
        return
    path = new
    for part in rel.split(b"/")[:-1]:
        path = path + b"/" + part
        if lstat(path) is None:
            os.mkdir(path)
        elif not is_dir(path):
            return
    move(old + b"/" + rel, new + b"/" + rel)


# --- removing ----------------------------------------------------------------------------


def remove_tree(path: str) -> None:
    """`rm -rf` that never leaves `path`: a symlink there, or below, is removed itself.
    Read-only directories are opened; nothing at `path` is fine. Raises OSError."""
    path = path.rstrip("/")
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
    except FileNotFoundError:
        return
    parent = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _remove_dir(parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)


def _remove_dir(parent: int, name: bytes) -> None:
    top = _open_dir(parent, name)
    try:
        _empty(top, top, 1)
        # what lay too deep was moved to the top: as often as it takes
        while os.listdir(top):
            _empty(top, top, 1)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _open_dir(parent: int, name: bytes) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        fd = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        # it was seen to be a directory; Linux has no fchmodat that follows no symlink
        os.chmod(name, RWX, dir_fd=parent)
        fd = os.open(name, flags, dir_fd=parent)
    if os.fstat(fd).st_mode & RWX != RWX:
        os.fchmod(fd, RWX)
    return fd


def _empty(fd: int, top: int, depth: int) -> None:
    """Remove all below `fd`; a directory too deep moves to `top`, under a name of its own."""
    with os.scandir(fd) as found:
        found_here = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in found]
    for name, is_directory in found_here:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
        elif depth >= _DEEP:
            os.close(_open_dir(fd, name))
            os.rename(name, b"." + os.urandom(8).hex().encode(), src_dir_fd=fd, dst_dir_fd=top)
        else:
            child = _open_dir(fd, name)
            try:
                _empty(child, top, depth + 1)
            finally:
                os.close(child)
            os.rmdir(name, dir_fd=fd)
