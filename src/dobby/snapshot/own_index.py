"""The working tree -> a tree object, through an index of our own.

What `git status` names is added to a copy of the user's index: the copy keeps the stat data,
so only what changed is read.
"""

from __future__ import annotations

import os

from dobby.core.errors import DobbyError
from dobby.snapshot import git, store
from dobby.snapshot.worktree import NO_LFS, READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.pointers import File

_CHUNK = 1 << 20
# Our index is one whole file: no shared part is written into the user's git directory.
_SETTINGS = (
    *("-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "core.safecrlf=false"),
    *NO_LFS,
)


class OwnIndex:
    """A copy of the user's index that a snapshot is made in. Use it in a `with`."""

    def __init__(self, checkout: Checkout) -> None:
        self._top = checkout.top
        place = store.writing(checkout)
        self._directory = f"{place.write}/index-{os.urandom(8).hex()}"
        os.mkdir(self._directory, 0o700)
        self.place = place.replace(index=f"{self._directory}/index")
        if os.path.exists(checkout.index):
            _copy(checkout.index, self.place.index)

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
        """Those of the flagged (tag, path) whose file differs. Their flags are dropped here;
        a file that a sparse checkout leaves out is no edit."""
        skipped = set(_present(self._top, (path for tag, path in flagged if tag in b"Ss")))
        assumed = [p for tag, p in flagged if tag.islower() and (tag != b"s" or p in skipped)]
        for option, paths in (("--no-skip-worktree", sorted(skipped)), ("--no-assume-unchanged", assumed)):
            if paths:
                self._update(option, paths)
        if not skipped and not assumed:
            return []
        differ = git.run(self.place, *_SETTINGS, "diff-files", "-z", "--name-only")
        return sorted(set(differ.split(b"\0")) & {*skipped, *assumed})

    def _update(self, option: str, paths: list[bytes]) -> None:
        git.run(
            self.place, *_SETTINGS, "update-index", option, "-z", "--stdin", input=b"\0".join([*paths, b""])
        )

    def write_tree(
        self, paths: list[bytes], gone: list[bytes], links: Mapping[bytes, str], files: Sequence[File] = ()
    ) -> str:
        """The id of the tree with `paths` as they stand now, but for those of `files`, which have
        their own text; with the submodules `links` at these commits; and without `gone`, which may
        stand beyond what is a symlink now."""
        if gone:
            self._update("--force-remove", gone)
        own = {file.path for file in files}
        plain = [path for path in paths if path not in own]
        if plain:
            self._add(plain)
        if files:
            self._put(files)
        if links:
            lines = [b"160000 %s\t%s\0" % (id.encode(), path) for path, id in links.items()]
            git.run(self.place, *_SETTINGS, "update-index", "-z", "--index-info", input=b"".join(lines))
        return git.run(self.place, *_SETTINGS, "write-tree").decode().strip()

    def _put(self, files: Sequence[File]) -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(dir=self._directory) as folder:
            for number, file in enumerate(files):
                with open(f"{folder}/{number}", "wb") as stream:
                    stream.write(file.text)
            names = "".join(f"{folder}/{number}\n" for number in range(len(files)))
            asked = ("hash-object", "-w", "--no-filters", "--stdin-paths")
            ids = git.run(self.place, *asked, input=os.fsencode(names)).split()
        lines = [b"%b %b\t%b" % (f.mode.encode(), id, f.path) for f, id in zip(files, ids, strict=True)]
        info = b"\0".join([*lines, b""])
        git.run(
            self.place, *_SETTINGS, "update-index", "--add", "--replace", "-z", "--index-info", input=info
        )

    def _add(self, paths: list[bytes]) -> None:
        try:
            git.run(
                self.place,
                *(*_SETTINGS, "update-index", "--add", "--remove", "--replace", "-z", "--stdin"),
                input=b"\0".join([*paths, b""]),
            )
        except git.GitFailed as error:
            lines = error.said.splitlines()
            reason = "; ".join(dict.fromkeys(map(git.last_words, (lines[0], lines[-1]))))
            raise DobbyError(f"{self._top}: the working tree cannot be read: {reason}", READABLE) from None


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
