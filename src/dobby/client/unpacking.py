"""A tar stream from a host, unpacked as if the host were hostile (PEP 706)."""

from __future__ import annotations

import os
import shutil

from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo
    from typing import BinaryIO


def extract(stream: BinaryIO, into: str) -> None:
    """Only files, directories and links that stay inside the empty directory `into`; symlinks
    come last, so that nothing is written through one. Raises DobbyError, tarfile.TarError."""
    import tarfile

    links = []
    with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 18) as tar:
        for member in tar:
            path = _inside(into, member.name)
            if member.isdir():
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if member.issym():
                links.append((path, member.name, member.linkname))
            elif member.isreg():
                _write_file(tar, member, path)
            elif member.islnk():
                os.link(_inside(into, member.linkname), path)
    for path, name, target in links:
        if target.startswith("/"):
            raise DobbyError(f"{name!r} links to {target!r}, outside of what was asked for")
        _inside(into, os.path.join(os.path.dirname(name), target))
        os.symlink(target, path)


def _inside(root: str, name: str) -> str:
    path = os.path.normpath(f"{root}/{name}")
    if name.startswith("/") or not path.startswith(f"{root}/"):
        raise DobbyError(f"{name!r} would leave the directory")
    return path


def _write_file(tar: TarFile, member: TarInfo, path: str) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise DobbyError(f"{member.name!r} has no contents")
    with open(path, "xb") as file:
        shutil.copyfileobj(source, file, 1 << 18)
    os.chmod(path, member.mode & 0o777)
    os.utime(path, (member.mtime, member.mtime))
