"""SHA-256 of files, remembered: what has not changed is not read again.

A file is known by size, modification and change times and inode, as git does it; one that was
written an instant before it was read is not remembered, since a further write might not show.
"""

from __future__ import annotations

import os
import time

from dobby.core import json
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError
from dobby.snapshot import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from dobby.snapshot.checkout import Checkout

_CHUNK = 1 << 20
_RECENT_NS = 2_000_000_000
_MOST = 200_000  # entries; beyond, those that this snapshot did not ask for go


class Hashes:
    """The remembered hashes of one checkout. Use it in a `with`: what is new is kept at its end."""

    def __init__(self, checkout: Checkout) -> None:
        self._path = (
            f"{os.path.dirname(store.directory(checkout.common_dir))}/hashes-{store.key(checkout.top)}.json"
        )
        self._known = _load(self._path)
        self._asked: set[str] = set()
        self._new = False

    def __enter__(self) -> Hashes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._new:
            if len(self._known) > _MOST:
                self._known = {path: self._known[path] for path in self._asked if path in self._known}
            _save(self._path, self._known)

    def of(self, path: str) -> tuple[str, int]:
        """SHA-256 (hex) and size in bytes of the regular file at `path` (absolute). Raises DobbyError."""
        self._asked.add(path)
        try:
            with open(path, "rb") as file:
                found = os.fstat(file.fileno())
                stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
                known = self._known.get(path)
                if known is not None and known[1:] == stamp:
                    return str(known[0]), found.st_size
                got, size = sha256(), 0
                while data := file.read(_CHUNK):
                    got.update(data)
                    size += len(data)
        except OSError as error:
            raise DobbyError(
                f"{path} cannot be read: {error.strerror}", "make it readable, or leave it out"
            ) from None
        if (
            size == found.st_size
            and time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _RECENT_NS
        ):
            self._known[path] = [got.hexdigest(), *stamp]
            self._new = True
        return got.hexdigest(), size


def _load(path: str) -> dict[str, list[str | int]]:
    try:
        with open(path, encoding="utf-8") as file:
            known = json.loads(file.read())
    except (OSError, ValueError):  # absent, or cut short: all is read again
        return {}
    return known if isinstance(known, dict) else {}


def _save(path: str, known: dict[str, list[str | int]]) -> None:
    temp = f"{path}.{os.urandom(4).hex()}"
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(
            os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(json.dumps(known))
        os.replace(temp, path)
    except OSError:  # without it, all is read again the next time
        return
