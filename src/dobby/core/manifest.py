"""What `include` brings along: a list of files, itself content-addressed by its SHA-256."""

from __future__ import annotations

from dobby.core import json
from dobby.core.digest import sha256
from dobby.core.errors import UsageError
from dobby.core.names import check_inside, shown
from dobby.core.record import Record
from dobby.core.shapes import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


FILE, EXECUTABLE = 0o600, 0o100


class Item(Record):
    """A file, or with a `target` a symlink, at `path` from the checkout's top; `mode` is 0o600
    or 0o700; `sha256` and `size` (bytes) are the content's, "" and 0 of a symlink."""

    path: str
    mode: int = 0o600
    sha256: str = ""
    size: int = 0
    target: str = ""


def dump_manifest(items: Iterable[Item]) -> bytes:
    """The same bytes for the same items, whatever their order."""
    rows = sorted([item.path, item.mode, item.sha256, item.size, item.target] for item in items)
    return json.dumps(rows, separators=(",", ":")).encode()


def parse_manifest(text: bytes) -> list[Item]:
    """Raises UsageError for paths that must not be written, ValueError for what is no manifest."""
    try:
        items = [
            Item(path=path, mode=FILE | mode & EXECUTABLE, sha256=id, size=size, target=target)
            for path, mode, id, size, target in json.loads(text)
        ]
    except TypeError as error:
        raise ValueError(str(error)) from None
    if wrong := next(filter(None, map(misfit, items)), ""):
        raise ValueError(f"of a file of the manifest {wrong}")
    for item in items:
        check_path(item.path)
        if item.target and leaves(item.path, item.target):
            raise UsageError(f"the link {shown(item.path)} leads out of the checkout")
        if not item.target:
            check_sha256(item.sha256)
    return items


def manifest_id(text: bytes) -> str:
    return sha256(text).hexdigest()


def check_sha256(text: str) -> str:
    """64 hex digits. Raises UsageError."""
    if len(text) != 64 or not all(c in "0123456789abcdef" for c in text):
        raise UsageError(f"{shown(text)} is no SHA-256")
    return text


def check_path(path: str) -> str:
    """A normal path below the top, and not in a git directory. Raises UsageError."""
    check_inside(path, "included path")
    if any(part in ("", ".") or part.lower() in (".git", "git~1") for part in path.split("/")):
        raise UsageError(
            f"included path {shown(path)} is not allowed", "name a file or folder of the checkout"
        )
    return path


def leaves(path: str, target: str) -> bool:
    """Whether a symlink at `path` to `target` leads out of the top, or to nothing but by chance."""
    if target.startswith("/") or "\0" in target:
        return True
    depth = path.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False
