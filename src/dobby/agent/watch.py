"""Sleep until a run's directory changes: inotify where the kernel has it, short polls elsewhere.

It sees all that matters: the log grows (IN_MODIFY), a state file is linked or renamed into place,
an event is written, and a lock is let go, also by SIGKILL (IN_CLOSE_WRITE: the kernel closes
what a dying process held). No wake-up while nothing happens.

Who does not want the growth watches a directory for its names alone, and files one by one: a watch
for whatever is done to files in a directory costs each write to any of them, the log too, 0.3 us.
"""

from __future__ import annotations

import os
import select

from dobby.agent import inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = inotify.MOVED_TO | inotify.CREATE | inotify.DELETE
_POLL_S = 0.05
SAFETY_S = 30.0


class Watch:
    """Watches the names in `directory`, `files` for whoever closes them, and stdin for the caller's end,
    until the process ends: the kernel takes 10 ms to close it. `growth`: also while a file in `directory`
    is being written, which for a job that writes fast is all the time."""

    def __init__(self, directory: str, files: Sequence[str], stdin: int = 0, growth: bool = True) -> None:
        masks = {directory: _NAMES | inotify.MODIFY if growth else _NAMES}
        masks.update(dict.fromkeys(files, inotify.CLOSE_WRITE))
        self._fd = _inotify(masks)
        self._poll = select.poll()
        self._stdin = stdin
        self._poll.register(stdin, select.POLLIN)
        if self._fd >= 0:
            self._poll.register(self._fd, select.POLLIN)

    def wait(self, most_s: float = SAFETY_S) -> bool:
        """Sleep until something may have changed, at most `most_s`; False when the caller has
        gone.

        Without inotify that is every 50 ms; with it, every 30 s besides, for a filesystem
        that forwards no events (NFS)."""
        rest = most_s if self._fd >= 0 else min(_POLL_S, most_s)
        for fd, _ in self._poll.poll(int(rest * 1000)):
            if fd == self._stdin:
                if not os.read(self._stdin, 4096):
                    return False
            else:
                os.read(self._fd, 65536)
        return True


def _inotify(masks: Mapping[str, int]) -> int:
    """An inotify descriptor, -1 where there is none (macOS) or no more to be had."""
    fd = inotify.new()
    if fd >= 0 and any(inotify.add(fd, path, mask) < 0 for path, mask in masks.items()):
        os.close(fd)
        return -1
    return fd
