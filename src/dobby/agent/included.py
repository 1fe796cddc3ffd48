"""What is included, in a sandbox: copies of the project's contents, beside what git writes there.

<job>/included.json says which files we wrote, and how they stood then: so what a job has not
changed stays for the next run, is not what it "left", and is not copied again.
"""

from __future__ import annotations

import os

from dobby.agent import durable, trees
from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.blobs import Store
    from dobby.core.manifest import Item


class Included:
    """The items of a request for the sandbox `top`; `note` is included.json."""

    def __init__(self, top: bytes, note: str, store: Store, manifest: str) -> None:
        self._top, self._note, self._store = top, note, store
        self._items = {_bytes(item.path): item for item in store.manifest(manifest)} if manifest else {}
        self._stay: set[bytes] = set()

    def stay(self) -> set[bytes]:
        """Paths that are right as they stand. A file of an earlier run's that no job has changed,
        and that is another one now, is removed."""
        self._stay = set()
        for name, (written, stamp) in self._written().items():
            path, item = _bytes(name), self._items.get(_bytes(name))
            if item is None or _stamp(self._top, path) != stamp:
                continue
            if _wanted(item) == written:
                self._stay.add(path)
            else:
                os.unlink(self._top + b"/" + path)
        return self._stay

    def place(self, top: bytes) -> int:
        """Write what is not there into `top`; how many. What stands at such a path is the commit's,
        or kept for the job. Raises OSError, DobbyError; ValueError where a file is in the way."""
        if not self._items and not os.path.exists(self._note):
            return 0
        written: dict[str, Any] = {}
        placed = 0
        for path, item in self._items.items():
            ours = path in self._stay
            if trees.look(top, path) is None:
                self._write(top, path, item)
                ours = True
                placed += 1
            if ours:
                written[item.path] = [_wanted(item), _stamp(top, path)]
        new = durable.dump_json(written)
        if durable.read(self._note) != new:
            durable.replace(self._note, new)
        return placed

    def _write(self, top: bytes, path: bytes, item: Item) -> None:
        if not trees.make_way(top, path):
            raise ValueError(f"{item.path!r} is included, but something else stands in its way")
        full = top + b"/" + path
        if item.target:
            os.symlink(_bytes(item.target), full)
        else:
            self._store.copy(item.sha256, full, item.mode)

    def _written(self) -> dict[str, Any]:
        try:
            return dict(json.loads(durable.read(self._note) or b"{}"))
        except ValueError:  # a job's: then all of it is left, and written anew
            return {}


def _wanted(item: Item) -> list[Any]:
    return [item.mode, item.sha256, item.target]


def _stamp(top: bytes, path: bytes) -> list[int]:
    """How a file is known to be unchanged; nothing where there is none."""
    found = trees.look(top, path)
    if found is None:
        return []
    return [found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
