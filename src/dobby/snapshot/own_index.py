"""What changed in the working tree -> blobs, through an index of our own.

git makes the blobs, as `git add` would: by attributes, filters and settings, and by what its index has.
Ours has those paths alone, so that it costs what has changed, not what there is.
"""

from __future__ import annotations

import os

from dobby.core import index_file
from dobby.core.errors import DobbyError
from dobby.snapshot import git, store
from dobby.snapshot.worktree import NO_LFS, READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.core.index_file import Entry
    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.worktree import State

_CHUNK = 1 << 20
_ATTRIBUTES = b".gitattributes"
# Our index is one whole file: no shared part is written into the user's git directory.
_SETTINGS = (
    *("-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "core.safecrlf=false"),
    *("-c", "index.sparse=false"),
    *NO_LFS,
)


class OwnIndex:
    """An index that a snapshot is made with. Use it in a `with`."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout, self._top = checkout, checkout.top
        place = store.writing(checkout)
        self._directory = f"{place.write}/index-{os.urandom(8).hex()}"
        os.mkdir(self._directory, 0o700)
        self._place = place.replace(index=f"{self._directory}/index")

    def __enter__(self) -> OwnIndex:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for name in os.listdir(self._directory):
                os.unlink(f"{self._directory}/{name}")
            os.rmdir(self._directory)
        except OSError:  # what stays is never used again, and `store.trim` removes it
            return

    def hidden_edits(self, flagged: tuple[tuple[bytes, bytes], ...]) -> list[bytes]:
        """Those of the flagged (tag, path) whose file differs, by a copy of the user's index in which
        their flags are dropped; a file that a sparse checkout leaves out is no edit."""
        skipped = set(_present(self._top, (path for tag, path in flagged if tag in b"Ss")))
        assumed = [p for tag, p in flagged if tag.islower() and (tag != b"s" or p in skipped)]
        if not skipped and not assumed:
            return []
        _copy(self._checkout.index, self._place.index)
        for option, paths in (("--no-skip-worktree", sorted(skipped)), ("--no-assume-unchanged", assumed)):
            if paths:
                self._update(paths, option)
        differ = git.run(self._place, *_SETTINGS, "diff-files", "-z", "--name-only")
        return sorted(set(differ.split(b"\0")) & {*skipped, *assumed})

    def add(self, paths: list[bytes], state: State) -> dict[bytes, tuple[str, str] | None]:
        """Mode and blob (or commit) of each of `paths` as it stands now; None where nothing does."""
        with open(self._place.index, "wb") as file:
            file.write(index_file.dump(self._known(paths, state), self._checkout.object_format))
        try:
            self._update(paths, "--add", "--remove", "--replace")
        except git.GitFailed as error:
            lines = error.said.splitlines()
            reason = "; ".join(dict.fromkeys(map(git.last_words, (lines[0], lines[-1]))))
            raise DobbyError(f"{self._top}: the working tree cannot be read: {reason}", READABLE) from None
        with open(self._place.index, "rb") as file:
            found = {e.path: e for e in index_file.parse(file.read(), self._checkout.object_format)}
        return {path: (found[path].mode, found[path].id) if path in found else None for path in paths}

    def _known(self, paths: list[bytes], state: State) -> Iterable[Entry]:
        """What the user's index has of `paths`, and of the attributes that a sparse checkout leaves out:
        git reads those there."""
        wanted = {*paths}
        asked = (entry for entry in state.tracked(_ATTRIBUTES) if entry.path not in state.gone)
        left_out = [entry for entry in asked if not self._is_there(entry.path)]
        of_status = {entry.path for entry in state.recorded}
        hidden = {path for _, path in state.flagged} & wanted - of_status
        more = [entry for entry in state.all() if entry.path in hidden] if hidden else []
        known = [entry for entry in (*state.recorded, *more) if entry.path in wanted]
        return {(entry.path, entry.stage): entry for entry in (*left_out, *known)}.values()

    def _is_there(self, path: bytes) -> bool:
        return os.path.lexists(os.fsencode(self._top) + b"/" + path)

    def _update(self, paths: list[bytes], *how: str) -> None:
        text = b"\0".join([*paths, b""])
        git.run(self._place, *_SETTINGS, "update-index", *how, "-z", "--stdin", input=text)


def _copy(source: str, target: str) -> None:
    """With its times: git takes an entry as new as its index for possibly changed."""
    with open(source, "rb") as old, open(target, "wb") as new:
        while data := old.read(_CHUNK):
            new.write(data)
        times = os.fstat(old.fileno())
        new.flush()
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _present(top: str, paths: Iterable[bytes]) -> list[bytes]:
    """Those of `paths` that exist. A sparse checkout leaves out whole directories: each is
    looked for once."""
    found: dict[bytes, bool] = {}
    present = []
    for path in paths:
        full = os.fsencode(top) + b"/" + path
        folder = full.rpartition(b"/")[0]
        if folder not in found:
            found[folder] = os.path.isdir(folder)
        if found[folder] and os.path.lexists(full):
            present.append(path)
    return present
