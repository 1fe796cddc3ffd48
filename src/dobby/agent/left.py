"""What a run left in its sandbox is renamed into the run's `left/`: nothing is lost."""

from __future__ import annotations

import os

from dobby.agent import durable, globs, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Optional


_SLASH = ord("/")


class Left:
    """Moves paths of the sandbox at `top` to the same relative paths in the directory `into`."""

    def __init__(self, top: bytes, into: bytes) -> None:
        self.top = top
        self._into = into
        self._ready = False
        self._files = 0
        self._dirs = 0

    def take(self, rel: bytes, quiet: bool = False) -> Optional[bytes]:
        """Where `rel` is now (absolute), None where there was nothing. `quiet`: not counted."""
        if trees.look(self.top, rel) is None:
            return None
        return self._take(self.top + b"/" + rel, rel, quiet)

    def take_whole(self) -> bytes:
        """Move the whole sandbox; where it is now."""
        return self._take(self.top, os.path.basename(self.top), quiet=True)

    def _take(self, path: bytes, rel: bytes, quiet: bool) -> bytes:
        if not self._ready:
            self._make_ready()
        name = os.path.basename(rel)
        target = trees.free(trees.make_dirs(self._into, os.path.dirname(rel)) + b"/" + name)
        is_dir = trees.is_dir(path)
        trees.move(path, target)
        if not quiet:
            self._files += not is_dir
            self._dirs += is_dir
        return target

    def _make_ready(self) -> None:
        if trees.lstat(self._into) is not None and not trees.is_dir(self._into):
            os.unlink(self._into)  # a job's symlink: what we keep stays on our side
        durable.make_dirs(os.fsdecode(self._into))
        self._ready = True

    def note(self) -> str:
        """For the log: "moved 3 files to left/", or nothing."""
        parts = []
        if self._files:
            parts.append(f"{self._files} file{'s' if self._files > 1 else ''}")
        if self._dirs:
            parts.append(f"{self._dirs} director{'ies' if self._dirs > 1 else 'y'}")
        return f"moved {' and '.join(parts)} to left/" if parts else ""


class Kept:
    """What the `keep` globs name in a sandbox, and all that lies below; and what `also` gives, once
    it is asked for."""

    def __init__(
        self, top: bytes, patterns: Iterable[str], also: Optional[Callable[[], set[bytes]]] = None
    ) -> None:
        self._top = top
        self._patterns = tuple(patterns)
        self._also = also
        self._found: Optional[set[bytes]] = None
        self._above: set[bytes] = set()

    def paths(self) -> set[bytes]:
        if self._found is None:
            found = globs.find(self._top, self._patterns) if self._patterns else set()
            found |= self._also() if self._also else set()
            self._found = found
            self._above = {rel[:at] for rel in found for at, byte in enumerate(rel) if byte == _SLASH}
        return self._found

    def holds(self, rel: bytes) -> bool:
        """Whether `rel` itself, or a directory that it lies in, is named."""
        found = self.paths()
        parts = rel.split(b"/") if found else ()
        return any(b"/".join(parts[: n + 1]) in found for n in range(len(parts)))

    def split(self, rel: bytes) -> tuple[list[bytes], list[bytes]]:
        """`rel` as the fewest paths of which none holds a kept one, and the kept ones."""
        if self.holds(rel):
            return [], [rel]
        if rel not in self._above or not trees.is_dir(self._top + b"/" + rel):
            return [rel], []
        move: list[bytes] = []
        stay: list[bytes] = []
        for entry in trees.entries(self._top + b"/" + rel):
            child_move, child_stay = self.split(rel + b"/" + entry.name)
            move += child_move
            stay += child_stay
        return move, stay
