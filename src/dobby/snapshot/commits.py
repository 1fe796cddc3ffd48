"""Raw commits: reading what is needed of them, and making ones of our own (git-hash-object(1))."""

from __future__ import annotations

from dobby.core.record import Record
from dobby.snapshot import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.objects import Object

_EPOCH = "0 +0000"
# Headers of a commit that do not hold for a copy with other parents.
_OF_THE_ORIGINAL = ("parent", "gpgsig", "gpgsig-sha256", "mergetag")


class Commit(Record):
    """A commit's `id`, `tree`, `parents`, `date` of the committer ("seconds +zone") and `subject`."""

    id: str
    tree: str
    parents: tuple[str, ...]
    date: str
    subject: str


def parse_commit(commit: Object) -> Commit:
    """What the raw object says."""
    head, _, message = commit.data.partition(b"\n\n")
    lines = head.split(b"\n")
    fields = dict(line.partition(b" ")[::2] for line in reversed(lines))
    date = b" ".join(fields.get(b"committer", b"").rsplit(b" ", 2)[-2:]).decode("ascii", "replace")
    paragraph = message.lstrip(b"\n").partition(b"\n\n")[0].strip()
    encoding = fields.get(b"encoding", b"utf-8").decode("ascii", "replace")
    return Commit(
        id=commit.id,
        tree=fields[b"tree"].decode(),
        parents=tuple(line[7:].decode() for line in lines if line.startswith(b"parent ")),
        date=date or _EPOCH,
        subject=" ".join(_decoded(paragraph, encoding).split("\n")),
    )


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding, "replace")
    except LookupError:  # a name that only iconv knows
        return text.decode("utf-8", "replace")


def write_parentless(checkout: Checkout, commit: Object) -> str:
    """The id of a copy without parents: same tree, author, dates and message."""
    head, gap, message = commit.data.partition(b"\n\n")
    kept: list[bytes] = []
    keeping = True
    for line in head.split(b"\n"):
        if not line.startswith(b" "):  # a continuation goes with its header
            keeping = line.partition(b" ")[0].decode("ascii", "replace") not in _OF_THE_ORIGINAL
        if keeping:
            kept.append(line)
    return _write(checkout, b"\n".join(kept) + gap + message)


def write_working_tree(checkout: Checkout, tree: str, parent: str, date: str, message: str) -> str:
    """The id of dobby's own commit of `tree`; the same for the same arguments."""
    who = f"dobby <dobby@localhost> {date or _EPOCH}"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}"]
    text = "\n".join([*lines, f"committer {who}", "", message, ""])
    return _write(checkout, text.encode("utf-8", "surrogateescape"))


def _write(checkout: Checkout, raw: bytes) -> str:
    from dobby.snapshot import loose

    return loose.write(store.writing(checkout).write, checkout.object_format, "commit", raw)
