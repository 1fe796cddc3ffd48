"""What stands in the working tree, as `git status` and `git ls-files` say it; nothing is written.

Paths are bytes relative to the top, as git gives them.
"""

from __future__ import annotations

import os
import stat

from dobby.core.errors import DobbyError, UsageError
from dobby.core.index_file import Entry
from dobby.core.record import Record
from dobby.snapshot import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.snapshot.checkout import Checkout

# git-lfs would put what it is asked about into the user's own store: what it might take for
# unchanged is compared without it, and found to be so later (pointers.py).
NO_LFS = ("-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
_STATUS = (
    *NO_LFS,
    *("status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"),
    *("--untracked-files=all", "--ignore-submodules=none"),
)
_GITLINK, _REGULAR, _PLAIN = "160000", "100", b"H 100"  # modes, and a file without a flag
READABLE = "make it readable, or list it in .gitignore"


class Status(Record):
    """What `git status` says. `head` is the commit id ("" before the first commit); `changed` are
    tracked paths that differ from the index or HEAD, `gone` those of them that are no more, or that
    the index lets go; `recorded` is what it has of the others; `untracked` paths, a nested repository
    with "/"; `dirty_modules` the submodules with changes of their own that are in no commit."""

    head: str
    changed: tuple[bytes, ...]
    gone: tuple[bytes, ...]
    recorded: tuple[Entry, ...]
    untracked: tuple[bytes, ...]
    dirty_modules: tuple[bytes, ...]


class State(Status):
    """What stands in the working tree: `Status`, less what is not the checkout's own. `untracked` are
    files, those of nested repositories included; `nested` are the gitlinks that are no submodules;
    `flagged` are (tag, path) of entries that git is told not to look at ("S": skip-worktree, lower
    case: assume-unchanged); `links` are all gitlinks. `listing` is all of the index, as
    `ls-files -z -s -v` says it: a hundred thousand are parsed only where that is needed."""

    untracked_bytes: int
    nested: tuple[bytes, ...]
    flagged: tuple[tuple[bytes, bytes], ...]
    links: tuple[bytes, ...]
    listing: bytes

    @property
    def has_modules(self) -> bool:
        """Whether there may be submodules."""
        return b".gitmodules" in self.named(b".gitmodules")

    def named(self, name: bytes) -> list[bytes]:
        """The paths, tracked or not, whose last part is `name`."""
        untracked = (path for path in self.untracked if path.rpartition(b"/")[2] == name)
        return [*dict.fromkeys([*(entry.path for entry in self.tracked(name)), *untracked])]

    def tracked(self, name: bytes) -> list[Entry]:
        """What the index has under paths whose last part is `name`."""
        found, at = [], 0
        while (at := self.listing.find(name + b"\0", at)) >= 0:
            begin = self.listing.rfind(b"\0", 0, at) + 1
            at += len(name)
            _, entry = _parse_entry(self.listing[begin:at])
            if entry.path.rpartition(b"/")[2] == name:
                found.append(entry)
        return found

    def all(self) -> list[Entry]:
        """All that the index has."""
        return [entry for _, entry in map(_parse_entry, self.listing.split(b"\0")[:-1])]

    @property
    def regular(self) -> list[bytes]:
        """The tracked files that are neither symlinks nor submodules."""
        return list(dict.fromkeys(entry.path for entry in self.all() if entry.mode.startswith(_REGULAR)))


class Looking:
    """git, asked for the state of the working tree, side by side; nothing is written."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._status = git.start(checkout.place, *_STATUS)
        self._listing = git.start(checkout.place, "ls-files", "-z", "-s", "-v")

    def state(self) -> State:
        """Raises DobbyError where a part of it cannot be read."""
        # The listing first: it is long and soon there, while status still reads files.
        listed = git.finish(self._listing)
        odd = [_parse_entry(entry) for entry in _odd(listed)]
        out, said = self._status.communicate()
        words = os.fsdecode(said)
        if self._status.returncode:
            raise git.GitFailed("status", self._checkout.top, self._status.returncode, words)
        for line in words.splitlines():  # git leaves such a directory out and goes on
            if "could not open directory" in line:
                reason = git.last_words(line.removeprefix("warning: "))
                raise DobbyError(f"{self._checkout.top}: {reason}", READABLE)
        return _state(self._checkout, _parse_status(out), listed, odd)


def _state(checkout: Checkout, said: Status, listed: bytes, odd: list[tuple[bytes, Entry]]) -> State:
    links = tuple(dict.fromkeys(entry.path for _, entry in odd if entry.mode == _GITLINK))
    nested = _no_submodules(checkout, links)
    files = [path for path in said.untracked if not path.endswith(b"/")]
    for root in (*(path for path in said.untracked if path.endswith(b"/")), *(n + b"/" for n in nested)):
        files += _files_of_nested(checkout.top, root)
    return State(
        head=said.head,
        changed=tuple(path for path in said.changed if path not in nested),
        gone=said.gone,
        recorded=said.recorded,
        untracked=tuple(files),
        untracked_bytes=sum(_size(checkout.top, path) for path in files),
        nested=tuple(nested),
        flagged=tuple((tag, entry.path) for tag, entry in odd if tag == b"S" or tag.islower()),
        links=links,
        dirty_modules=tuple(path for path in said.dirty_modules if path not in nested),
        listing=listed,
    )


def _odd(listed: bytes) -> list[bytes]:
    """The entries that are no files, or have a flag: mostly there are none."""
    if (b"\0" + listed).count(b"\0" + _PLAIN) == listed.count(b"\0"):
        return []
    return [entry for entry in listed.split(b"\0")[:-1] if not entry.startswith(_PLAIN)]


def _parse_status(out: bytes) -> Status:
    """git-status(1), "Porcelain Format Version 2"."""
    head, changed, gone, recorded, untracked, dirty = "", [], [], [], [], []
    for line in out.split(b"\0"):
        kind = line[:2]
        if line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            head = line[13:].decode()
        elif kind == b"? ":
            untracked.append(line[2:])
        elif kind in (b"1 ", b"u "):
            fields = line.split(b" ", 8 if kind == b"1 " else 10)
            path = fields[-1]
            changed.append(path)
            if kind == b"1 " and not fields[5].strip(b"0"):  # "DA" stands there, and is meant to be added
                gone.append(path)
            mode, id, stage = (fields[4], fields[7], 0) if kind == b"1 " else (fields[4], fields[8], 2)
            if mode.strip(b"0"):  # else it is in HEAD alone, or only meant to be added
                recorded.append(Entry(path=path, mode=mode.decode(), id=id.decode(), stage=stage))
            if fields[2][:1] == b"S" and fields[2][2:] != b"..":
                dirty.append(path)
    return Status(
        head=head,
        changed=tuple(changed),
        gone=tuple(gone),
        recorded=tuple(recorded),
        untracked=tuple(untracked),
        dirty_modules=tuple(dirty),
    )


def _parse_entry(line: bytes) -> tuple[bytes, Entry]:
    """Tag and entry of one line of `ls-files -s -v`."""
    front, _, path = line.partition(b"\t")
    tag, mode, id, stage = front.split(b" ")
    return tag, Entry(path=path, mode=mode.decode(), id=id.decode(), stage=int(stage))


def _no_submodules(checkout: Checkout, gitlinks: tuple[bytes, ...]) -> list[bytes]:
    """Those gitlinks that .gitmodules does not know and that stand here as repositories."""
    if not gitlinks:
        return []
    file = f"{checkout.top}/.gitmodules"
    if os.path.islink(file):
        raise UsageError(f"{file} is a symlink, which git does not follow", "make it a file")
    asked = ("config", "-z", "--no-includes", "-f", file, "--get-regexp", r"^submodule\..*\.path$")
    try:
        named = git.run(checkout.place, *asked, ok=(0, 1))
    except git.GitFailed as error:
        raise UsageError(f"{file} cannot be read: {git.last_words(error.said)}") from None
    paths = {entry.partition(b"\n")[2].rstrip(b"/") for entry in named.split(b"\0")}
    top = os.fsencode(checkout.top)
    return [
        path for path in gitlinks if path not in paths and os.path.lexists(top + b"/" + path + b"/.git")
    ]


def _files_of_nested(top: str, root: bytes) -> list[bytes]:
    """The files, tracked or not ignored, of the repository at `root` (ends with "/")."""
    where = os.fsencode(top) + b"/" + root
    git_dir = os.fsdecode(where + b".git")
    if not os.path.exists(git_dir):
        return []
    place = git.Place(git_dir=git_dir, top=os.fsdecode(where).rstrip("/"))
    # Its settings may be anybody's (an unpacked archive): fetching would run what they name.
    out = git.run(place, "ls-files", "-z", "-c", "-o", "--exclude-standard", env=git.NO_FETCHING)
    found = []
    for name in sorted(set(out.split(b"\0")) - {b""}):
        path = where + name
        if os.path.isdir(path) and not os.path.islink(path.rstrip(b"/")):
            found += _files_of_nested(top, root + name.rstrip(b"/") + b"/")
        elif os.path.lexists(path):
            found.append(root + name)
    return found


def _size(top: str, path: bytes) -> int:
    try:
        found = os.lstat(os.fsencode(top) + b"/" + path)
    except OSError:  # gone since git saw it
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def check_untracked(checkout: Checkout, state: State, limit_bytes: int) -> None:
    """Raises UsageError where untracked files are more than `limit_bytes` in all."""
    if state.untracked_bytes <= limit_bytes:
        return
    sizes = sorted(((_size(checkout.top, path), path) for path in state.untracked), reverse=True)[:3]
    largest = ", ".join(f"{shown_path(path)} ({megabytes(size)})" for size, path in sizes)
    raise UsageError(
        f"untracked files are {megabytes(state.untracked_bytes)} in all, over the limit of"
        f" {megabytes(limit_bytes)}; the largest: {largest}",
        "list in .gitignore what need not travel, or raise the setting untracked_limit_mb",
    )


def megabytes(size: int) -> str:
    """`size` in bytes, for people; the unit that the setting has."""
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e6:.0f} MB"


def shown_path(path: bytes) -> str:
    """A path for a message: as it is, quoted where it holds anything unprintable."""
    text = path.decode("utf-8", "surrogateescape")
    return text if text.isprintable() else repr(text)
