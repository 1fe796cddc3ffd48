"""A disk as a crash leaves it: what was fsynced is there, of the rest anything may be.

`Disk` is told every change in order (`record.py`) and keeps two pictures: `now`, which every process
sees, and `safe`, which outlasts a power cut. fsync(2) of a file makes its bytes safe and not its name;
fsync of a directory makes the changes to its names safe. What is not safe may be kept, lost or torn,
each change for itself: POSIX promises no order, and no filesystem is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator
    from typing import Optional

    Names = dict[int, dict[str, int]]
    # By path below the root: which file it is (two names may be one), and its bytes; None is a directory.
    Tree = dict[str, tuple[int, Optional[bytes]]]

ROOT = 0


class Op(NamedTuple):
    """One change that succeeded. `node` is the file or directory it was made to; of a change of names
    `removes` are (directory, name), `adds` (directory, name, node)."""

    kind: str  # create mkdir write truncate fsync link unlink rmdir rename
    node: int
    where: str = ""  # the path, for people
    removes: tuple[tuple[int, str], ...] = ()
    adds: tuple[tuple[int, str, int], ...] = ()
    offset: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}"


class Disk:
    def __init__(self) -> None:
        self.now: dict[int, bytes] = {}
        self.safe: dict[int, bytes] = {}
        self.names: Names = {ROOT: {}}
        self.safe_names: Names = {ROOT: {}}
        self.pending: list[Op] = []  # changes of names that are not safe yet

    def copy(self) -> Disk:
        other = Disk()
        other.now, other.safe = dict(self.now), dict(self.safe)
        other.names, other.safe_names = _copied(self.names), _copied(self.safe_names)
        other.pending = list(self.pending)
        return other

    def sync_all(self) -> None:
        self.safe, self.safe_names, self.pending = dict(self.now), _copied(self.names), []

    def apply(self, op: Op) -> None:
        if op.kind == "fsync":
            self._fsync(op.node)
        elif op.kind in ("write", "truncate"):
            self.now[op.node] = _changed(self.now[op.node], op)
        else:
            if op.kind == "create":
                self.now[op.node] = self.safe[op.node] = b""
            elif op.kind == "mkdir":
                self.names[op.node], self.safe_names[op.node] = {}, {}
            _rename(self.names, op)
            self.pending.append(op)

    def _fsync(self, node: int) -> None:
        if node not in self.names:
            self.safe[node] = self.now[node]
            return
        kept = []
        for op in self.pending:
            if node in [where for where, *_ in (*op.removes, *op.adds)]:
                _rename(self.safe_names, op)
            else:
                kept.append(op)
        self.pending = kept

    # --- what may be found after the crash -------------------------------------------------------

    def as_seen(self) -> Tree:
        """Every process is killed; the system goes on."""
        return _tree(self.names, self.now)

    def after_power_cut(self, chance: Optional[random.Random] = None) -> Iterator[Tree]:
        """What the disk may hold when the power comes back: the extremes and the usual, or with
        `chance` some of the many mixtures."""
        if chance is None:
            for names in self._names():
                for data in (self.safe, self.now, self._each(_torn), self._each(_zeros)):
                    yield _tree(names, data)
            return
        for _ in range(6):
            names = self._with(op for op in self.pending if chance.random() < 0.5)
            choices = (lambda old, new: old, lambda old, new: new, _torn, _zeros)
            yield _tree(names, self._each(lambda old, new: chance.choice(choices)(old, new)))  # noqa: B023

    def _names(self) -> Iterator[Names]:
        """None of the changes, all, all up to one, and all but one."""
        for number in range(len(self.pending) + 1):
            yield self._with(self.pending[:number])
        for number in range(len(self.pending)):
            yield self._with([*self.pending[:number], *self.pending[number + 1 :]])

    def _with(self, changes: Iterable[Op]) -> Names:
        names = _copied(self.safe_names)
        for op in changes:
            _rename(names, op)
        return names

    def _each(self, choose: Callable[[bytes, bytes], bytes]) -> dict[int, bytes]:
        return {
            node: new if new == self.safe[node] else choose(self.safe[node], new)
            for node, new in self.now.items()
        }


def _changed(data: bytes, op: Op) -> bytes:
    if op.kind == "truncate":
        return data[: op.offset].ljust(op.offset, b"\0")
    return data[: op.offset].ljust(op.offset, b"\0") + op.data + data[op.offset + len(op.data) :]


def _torn(old: bytes, new: bytes) -> bytes:
    """The first half of what differs is new, the rest as it was before."""
    same = next((n for n, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
    cut = same + (len(new) - same) // 2
    return new[:cut] + old[cut:]


def _zeros(old: bytes, new: bytes) -> bytes:
    """The new length is safe, the new bytes are not."""
    return old[: len(new)].ljust(len(new), b"\0")


def _rename(names: Names, op: Op) -> None:
    for where, name in op.removes:
        names[where].pop(name, None)
    for where, name, node in op.adds:
        names[where][name] = node


def _copied(names: Names) -> Names:
    return {node: dict(entries) for node, entries in names.items()}


def _tree(names: Names, data: dict[int, bytes]) -> Tree:
    found: Tree = {}
    open_: list[tuple[str, int]] = [("", ROOT)]
    while open_:
        above, folder = open_.pop()
        for name, node in names[folder].items():
            path = f"{above}{name}"
            found[path] = (node, None if node in names else data[node])
            if node in names:
                open_.append((f"{path}/", node))
    return found
