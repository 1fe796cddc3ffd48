"""Which files of a sandbox a glob names."""

from __future__ import annotations

import stat

from dobby.agent import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator


def find(top: bytes, globs: Iterable[str]) -> set[bytes]:
    """What matches, as paths relative to `top`, directories and symlinks themselves included.

    `*`, `?` and `[…]` stay within a name and match leading dots too; `**` is any number of
    directories. No symlink is followed, and no `.git` entered."""
    matches: set[bytes] = set()
    for glob in globs:
        names = [part for part in glob.split("/") if part not in ("", ".")]
        if names and ".." not in names:
            matches.update(_expand(top, b"", names))
    return matches


def _expand(top: bytes, rel: bytes, names: list[str]) -> Iterator[bytes]:
    """Paths below the directory `rel` that match `names`."""
    name, rest = names[0], names[1:]
    if name == "**":
        if rest:
            yield from _expand(top, rel, rest)
        for entry in children(top, rel):
            path = trees.join(rel, entry.name)
            if not rest:
                yield path
            elif entry.is_dir(follow_symlinks=False):
                yield from _expand(top, path, names)
        return
    for path, is_directory in _named(top, rel, name):
        if not rest:
            yield path
        elif is_directory:
            yield from _expand(top, path, rest)


def _named(top: bytes, rel: bytes, glob: str) -> list[tuple[bytes, bool]]:
    """Entries of `rel` whose name matches, and whether each is a directory."""
    if not any(c in glob for c in "*?["):
        path = trees.join(rel, glob.encode("utf-8", "surrogateescape"))
        found = None if path.split(b"/")[-1] == b".git" else trees.lstat(trees.join(top, path))
        return [] if found is None else [(path, stat.S_ISDIR(found.st_mode))]
    import fnmatch
    import re

    pattern = re.compile(fnmatch.translate(glob))
    return [
        (trees.join(rel, entry.name), entry.is_dir(follow_symlinks=False))
        for entry in children(top, rel)
        if pattern.match(entry.name.decode("utf-8", "surrogateescape"))
    ]


def children(top: bytes, rel: bytes) -> list[os.DirEntry[bytes]]:
    """Entries of the directory `rel`, `.git` left out."""
    return [entry for entry in trees.entries(trees.join(top, rel)) if entry.name != b".git"]
