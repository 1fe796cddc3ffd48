"""inotify(7) through the C library: what happens to files, without a wake-up while nothing does."""

from __future__ import annotations

import os

from dobby.agent import libc
from dobby.core.record import Record

MODIFY, CLOSE_WRITE, MOVED_TO = 0x2, 0x8, 0x80
CREATE, DELETE, DELETE_SELF = 0x100, 0x200, 0x400
IGNORED = 0x8000  # told unasked: what was watched is gone, and the watch with it
_HEAD = 16  # struct inotify_event: wd, mask, cookie, len; four bytes each


class Event(Record):
    """`watch` is what `add` returned, -1 where events were lost; `name` the entry of a watched
    directory, "" where the event is of what is watched itself."""

    watch: int
    mask: int
    name: str


def new() -> int:
    """A descriptor, -1 where there is none (macOS) or no more to be had."""
    if os.uname().sysname != "Linux":
        return -1
    return libc.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)


def add(fd: int, path: str, mask: int) -> int:
    """A watch of a file or directory, -1 where it is not there or there are no more to be had."""
    return libc.call("inotify_add_watch", fd, os.fsencode(path), mask)


def remove(fd: int, watch: int) -> None:
    """Does nothing where the kernel has removed it already, with what it watched."""
    libc.call("inotify_rm_watch", fd, watch)


def read(fd: int) -> list[Event]:
    """What has happened since; [] when nothing has."""
    try:
        data = os.read(fd, 1 << 16)
    except BlockingIOError:
        return []
    import sys

    found, at = [], 0
    while at < len(data):
        watch = int.from_bytes(data[at : at + 4], sys.byteorder, signed=True)
        mask = int.from_bytes(data[at + 4 : at + 8], sys.byteorder)
        length = int.from_bytes(data[at + 12 : at + 16], sys.byteorder)
        name = data[at + _HEAD : at + _HEAD + length].rstrip(b"\0")
        found.append(Event(watch=watch, mask=mask, name=os.fsdecode(name)))
        at += _HEAD + length
    return found
