"""A tree with some of its paths changed: only the trees along these paths are read and written, not all
that git would put through an index (gitformat: a tree is "<mode> <name>\\0<id>", sorted)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # mode and object id of what stands at a path ("100644", "120000", "160000"); None: nothing any more
    Edit = tuple[str, str] | None
    Edits = Mapping[bytes, Edit]

_TREE = b"40000"


class Trees:
    """`read(id)` gives a tree's bytes, `write(data)` the id of one that is made; an id has `id_bytes`."""

    def __init__(self, read: Callable[[str], bytes], write: Callable[[bytes], str], id_bytes: int) -> None:
        self._read, self._write, self._id_bytes = read, write, id_bytes

    def edited(self, tree: str, edits: Edits) -> str:
        """The id of `tree` ("" is an empty one) after `edits`."""
        return self._edited(tree, edits) or self._write(b"")

    def _edited(self, tree: str, edits: Edits) -> str:
        """ "" where nothing is left."""
        old = self._read(tree) if tree else b""
        entries = self._parse(old)
        here, below = _by_name(edits)
        for name, edit in here.items():
            if edit is None and name in entries and not _is_tree(entries[name]):
                del entries[name]
        for name, inner in below.items():
            stands = name in entries and _is_tree(entries[name])
            sub = self._edited(entries[name][1].hex() if stands else "", inner)
            if sub:
                entries[name] = (_TREE, bytes.fromhex(sub))
            elif stands:
                del entries[name]
        entries.update((n, (e[0].encode(), bytes.fromhex(e[1]))) for n, e in here.items() if e is not None)
        new = b"".join(
            b"%b %b\0%b" % (mode, name, id) for name, (mode, id) in sorted(entries.items(), key=_order)
        )
        return tree if new == old else self._write(new) if new else ""

    def _parse(self, data: bytes) -> dict[bytes, tuple[bytes, bytes]]:
        entries, at = {}, 0
        while at < len(data):
            nul = data.index(b"\0", at)
            mode, _, name = data[at:nul].partition(b" ")
            at = nul + 1 + self._id_bytes
            entries[name] = (mode, data[nul + 1 : at])
        return entries


def _by_name(edits: Edits) -> tuple[Edits, dict[bytes, dict[bytes, Edit]]]:
    """Those of this tree itself, and those of each tree below it."""
    here: dict[bytes, Edit] = {}
    below: dict[bytes, dict[bytes, Edit]] = {}
    for path, edit in edits.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            below.setdefault(name, {})[rest] = edit
        else:
            here[name] = edit
    return here, below


def _is_tree(entry: tuple[bytes, bytes]) -> bool:
    return entry[0].lstrip(b"0") == _TREE  # an old git has padded it


def _order(item: tuple[bytes, tuple[bytes, bytes]]) -> bytes:
    """git compares a tree's name as if it ended with a slash."""
    name, entry = item
    return name + b"/" if _is_tree(entry) else name
