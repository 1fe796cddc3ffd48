"""What a host is likely to lack, packed before it has asked: a round trip less. It was sent the last
launch's commit from here, so it has that, unless it says otherwise: then it asks."""

from __future__ import annotations

import os
import select
import time

from dobby.snapshot import cache, loose, objects, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.take import Snapshot

MOST_BYTES = 1 << 17  # more is worth the question whether the host has it from elsewhere
_PATIENCE_S = 0.1
_KEPT = 32


class Ahead:
    """A pack of the snapshot upon `upon`, the commit that was sent last to `where` (the host and the
    project there); "" where none is made: what was sent before is there."""

    def __init__(self, checkout: Checkout, snapshot: Snapshot, where: str) -> None:
        self._commit = snapshot.commit
        key = store.key(f"{checkout.common_dir}\0{where}")
        self._path = f"{store.memos()}/sent-{key}"
        self._sent = cache.load(self._path)
        self._base = "" if snapshot.parentless else snapshot.base  # which did not come along then
        self._own = b""
        self._process: subprocess.Popen[bytes] | None = None
        self.upon = ""
        if self._sent and self._commit not in self._sent and not snapshot.parentless:
            self.upon = next(reversed(self._sent))
            if snapshot.made and snapshot.base in (self.upon, self._sent[self.upon]):
                own = store.directory(checkout.common_dir)
                self._own = loose.pack(own, checkout.object_format, snapshot.made, MOST_BYTES)
        if self.upon and not self._own:
            self._process = objects.pack(checkout.git_dir, snapshot.objects, [self._commit], [self.upon])

    def pack(self) -> bytes:
        """The pack; b"" where there is none, or it is large, or takes long."""
        process, self._process = self._process, None
        if process is None:
            return self._own
        with process:
            data = _read(process)
            if data is None:
                process.kill()
        return data if data and process.returncode == 0 else b""

    def note(self) -> None:
        """The host has it."""
        if next(reversed(self._sent), "") != self._commit:
            self._sent.pop(self._commit, None)
            self._sent[self._commit] = self._base
            cache.store(self._path, self._sent, _KEPT)


def _read(process: subprocess.Popen[bytes]) -> bytes | None:
    """All that it says, None where that is too much."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    out, data, until = process.stdout.fileno(), b"", time.monotonic() + _PATIENCE_S
    while len(data) <= MOST_BYTES and select.select([out], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(out, MOST_BYTES)
        if not part:
            return data
        data += part
    return None
