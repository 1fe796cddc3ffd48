"""Hears every change that this process makes below one directory, and can make any of them fail.

The functions of `os` are replaced while it listens. fsync is only heard: the disk that matters is the
one of disk.py.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from tests.crash.disk import ROOT, Disk, Op

if TYPE_CHECKING:
    from collections.abc import Callable

HEARD = (
    *("open", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "rename", "replace"),
    *("link", "unlink", "remove", "mkdir", "rmdir"),
)
NEEDS_ROOM = ("create", "mkdir", "write", "link")


class Fault:
    """The step `at` fails with `error`; with `stays` so does every later one that needs room (a full
    disk). A write that finds no room writes the half first, as the kernel does."""

    def __init__(self, at: int, error: int, stays: bool = False) -> None:
        self.at, self.error, self.stays = at, error, stays
        self.hit = ""

    def is_due(self, step: int, kind: str) -> bool:
        return step == self.at or (self.stays and step > self.at and kind in NEEDS_ROOM)

    def strike(self, step: int, kind: str, where: str) -> None:
        if self.is_due(step, kind) and (not self.stays or kind in NEEDS_ROOM):
            self.hit = self.hit or f"{kind} {where}"
            raise OSError(self.error, os.strerror(self.error), where)


class Recorder:
    """`with Recorder(root) as heard: …` leaves the changes in `ops`, in order. What lay below `root`
    before is `before`, a disk on which all is safe."""

    def __init__(self, root: str, fault: Fault | None = None) -> None:
        self._root = os.path.realpath(root)
        self._fault = fault
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in HEARD}
        self._device = os.stat(self._root).st_dev
        self._nodes = {os.stat(self._root).st_ino: ROOT}
        self._given = ROOT
        self._half_written: set[int] = set()
        self.steps = 0
        self.ops: list[Op] = []
        self.before = Disk()
        self._take_stock(self._root, ROOT)
        self.before.sync_all()

    def __enter__(self) -> Recorder:
        for name in HEARD:
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def _take_stock(self, folder: str, node: int) -> None:
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            new = self._given = self._given + 1
            self._nodes[os.lstat(path).st_ino] = new
            self.before.names[node][name] = new
            if os.path.isdir(path):
                self.before.names[new] = {}
                self._take_stock(path, new)
            else:
                with open(path, "rb") as file:
                    self.before.now[new] = file.read()

    # --- steps -----------------------------------------------------------------------------------

    def _step(self, kind: str, where: str) -> None:
        self.steps += 1
        if self._fault:
            self._fault.strike(self.steps - 1, kind, where)

    def _heard(self, op: Op) -> None:
        self.ops.append(op._replace(where=op.where[len(self._root) + 1 :]))

    def _full(self, path: Any, dir_fd: int | None) -> str:
        """The path, "" where it is not below the root."""
        if isinstance(path, int):
            return ""
        text = os.fsdecode(path)
        if dir_fd is not None and not text.startswith("/"):
            text = f"{os.readlink(f'/proc/self/fd/{dir_fd}')}/{text}"
        folder, _, name = text.rpartition("/")
        text = f"{os.path.realpath(folder or '.')}/{name}"
        return text if text.startswith(f"{self._root}/") else ""

    def _entry(self, full: str) -> tuple[int, str]:
        folder, _, name = full.rpartition("/")
        return self._nodes[os.stat(folder).st_ino], name

    def _node_of(self, fd: int) -> int | None:
        """The node behind a descriptor, None where it is none of ours."""
        found = os.fstat(fd)
        if found.st_dev != self._device or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return None
        return self._nodes.get(found.st_ino)

    def _new(self, path: str) -> int:
        self._given += 1
        self._nodes[os.lstat(path).st_ino] = self._given
        return self._given

    def _gone(self, ino: int, links: int) -> None:
        """The number of what has no name left is given to another file."""
        if links <= 1:
            self._nodes.pop(ino, None)

    # --- the functions of os ---------------------------------------------------------------------

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        full = self._full(path, dir_fd) if flags & (os.O_CREAT | os.O_TRUNC) else ""
        there = bool(full) and os.path.lexists(full)
        if full and not there:
            self._step("create", full)
        fd: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        if full and not there:
            node = self._new(full)
            self._heard(Op("create", node, full, adds=((*self._entry(full), node),)))
        elif full and flags & os.O_TRUNC:
            self._heard(Op("truncate", self._nodes[os.fstat(fd).st_ino], full))
        return fd

    def _write(self, fd: int, data: Any) -> int:
        node = self._node_of(fd)
        if node is None:
            return int(self._real["write"](fd, data))
        return self._written(fd, node, bytes(data), None)

    def _pwrite(self, fd: int, data: Any, offset: int) -> int:
        node = self._node_of(fd)
        if node is None:
            return int(self._real["pwrite"](fd, data, offset))
        return self._written(fd, node, bytes(data), offset)

    def _written(self, fd: int, node: int, data: bytes, offset: int | None) -> int:
        where = os.readlink(f"/proc/self/fd/{fd}")
        fault = self._fault
        full = fault and fault.error == errno.ENOSPC and fault.is_due(self.steps, "write")
        if full and fault and len(data) > 1 and node not in self._half_written:
            self._half_written.add(node)
            fault.hit, fault.stays = fault.hit or f"write {where}", True
            data = data[: len(data) // 2]
            self.steps += 1
        elif not self._fits(fd, len(data), offset):
            self._step("write", where)
        if offset is not None:
            done, at = int(self._real["pwrite"](fd, data, offset)), offset
        else:
            done = int(self._real["write"](fd, data))
            at = os.lseek(fd, 0, os.SEEK_CUR) - done
        self._heard(Op("write", node, where, offset=at, data=data[:done]))
        return done

    def _fits(self, fd: int, length: int, offset: int | None) -> bool:
        """Whether the bytes go where there is room already, on a disk that stays full."""
        if not (self._fault and self._fault.stays):
            return False
        at = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
        return at + length <= os.fstat(fd).st_blocks * 512 and os.fstat(fd).st_size >= at + length

    def _ftruncate(self, fd: int, length: int) -> None:
        node = self._node_of(fd)
        where = os.readlink(f"/proc/self/fd/{fd}")
        if node is not None:
            self._step("truncate", where)
        self._real["ftruncate"](fd, length)
        if node is not None:
            self._heard(Op("truncate", node, where, offset=length))

    def _fsync(self, fd: int) -> None:
        node = self._node_of(fd)
        if node is not None:
            where = os.readlink(f"/proc/self/fd/{fd}")
            self._step("fsync", where)
            self._heard(Op("fsync", node, where))

    _fdatasync = _fsync

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        full = self._full(path, dir_fd)
        if full and not os.path.lexists(full):
            self._step("mkdir", full)
        self._real["mkdir"](path, mode, dir_fd=dir_fd)
        if full:
            node = self._new(full)
            self._heard(Op("mkdir", node, full, adds=((*self._entry(full), node),)))

    def _link(self, src: Any, dst: Any, **how: Any) -> None:
        full = self._full(dst, None)
        if full:
            self._step("link", full)
        self._real["link"](src, dst, **how)
        if full:
            node = self._nodes[os.lstat(full).st_ino]
            self._heard(Op("link", node, full, adds=((*self._entry(full), node),)))

    def _rename(
        self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        old, new = self._full(src, src_dir_fd), self._full(dst, dst_dir_fd)
        if not new:
            self._real["rename"](src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            return
        self._step("rename", new)
        before = os.lstat(new) if os.path.lexists(new) else None
        self._real["rename"](src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if before is not None:
            self._gone(before.st_ino, before.st_nlink)
        node = self._nodes[os.lstat(new).st_ino]
        self._heard(Op("rename", node, new, (self._entry(old),), ((*self._entry(new), node),)))

    _replace = _rename

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("unlink", path, dir_fd)

    _remove = _unlink

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("rmdir", path, dir_fd)

    def _remove_name(self, kind: str, path: Any, dir_fd: int | None) -> None:
        full = self._full(path, dir_fd)
        there = os.lstat(full) if full and os.path.lexists(full) else None
        if there is not None:
            self._step(kind, full)
        entry = self._entry(full) if there is not None else None
        self._real[kind](path, dir_fd=dir_fd)
        if there is not None and entry is not None:
            node = self._nodes[there.st_ino]
            self._gone(there.st_ino, 1 if kind == "rmdir" else there.st_nlink)
            self._heard(Op(kind, node, full, removes=(entry,)))
