"""One repository's checkout in a sandbox: made from nothing, or moved to another commit.

The way of a rerun: make git safe to start; ask it for every difference; rename those to
left/; let it write what differs between the two commits; put HEAD and refs in place.
"""

from __future__ import annotations

import os

from dobby.agent import gitdir, sandbox_refs, trees
from dobby.agent.worktree import Worktree
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Optional

    from dobby.agent.gitdir import Wanted
    from dobby.agent.left import Kept, Left
    from dobby.agent.lfs import Contents
    from dobby.agent.steps import Steps
    from dobby.agent.worktree import Answers

    Tags = Sequence[tuple[str, str]]

_ATTRIBUTES = b".gitattributes"


class Cleared(Record):
    """What was found to differ, and is out of the way. `changed` maps tracked paths to where
    they are now (None: they were missing); `stay` are untracked ones that are kept. The others are
    `worktree.Seen`'s."""

    changed: dict[bytes, Optional[bytes]]
    stay: tuple[bytes, ...]
    attributes: bool
    ahead: Optional[tuple[bytes, ...]]


class Renewed(Record):
    """`moved`: "old -> new", or "". `base`: the commit that we had put there, where the job
    made refs of its own, or "". `made`: whether it moved HEAD."""

    moved: str
    base: str
    made: bool


class Checkout:
    """The repository whose files lie at `rel` of the sandbox `top` (b"" is the sandbox's own)
    and whose git directory lies at `git_rel`. `modules` are the paths, from `rel`, of the
    submodules that are checked out inside. `find_tags` gives those of the wanted tags that
    exist; it is asked only where it matters. `contents` fills in what is under Git LFS; it is
    asked for with where the files and the git directory lie. `told` is what git has just said of the
    files."""

    def __init__(
        self,
        top: bytes,
        rel: bytes,
        git_rel: bytes,
        wanted: Wanted,
        steps: Steps,
        modules: frozenset[bytes] = frozenset(),
        find_tags: Callable[[], Tags] = lambda: (),
        contents: Optional[Callable[[bytes, bytes, bytes], Contents]] = None,
        told: Optional[Answers] = None,
    ) -> None:
        self.rel = rel
        self.git_rel = git_rel
        self.wanted = wanted
        self._top = top
        self._modules = modules
        self._find_tags = find_tags
        self.git_dir = trees.join(top, git_rel)
        self._tree = Worktree(trees.join(top, rel), self.git_dir, steps, told)
        self._contents = contents(top, rel, self.git_dir) if contents else None

    def make(self) -> None:
        """Write the git directory, then the files. Raises StepFailed, ValueError, OSError."""
        tags = self._find_tags()
        trees.make_dirs(self._top, os.path.dirname(self.git_rel))
        gitdir.make(self.git_dir, self.wanted)
        sandbox_refs.arrange(self.git_dir, self.wanted, tags)
        self._tree.write(self.wanted.commit)
        self._fill()
        gitdir.write_note(self.git_dir, self.wanted, len(tags) == len(self.wanted.tags))

    def renew(self, left: Left, kept: Kept, left_by: str) -> Renewed:
        """Bring all that the run `left_by` may have changed to the wanted commit.

        Raises gitdir.Broken, StepFailed, ValueError, OSError."""
        note = gitdir.read_note(self.git_dir)
        suspect = gitdir.restore(self.git_dir, self.git_rel, self.wanted, left)
        refs = sandbox_refs.Refs(self.git_dir)
        head = refs.head_commit()
        if head is None:
            head = note.commit
            gitdir.write(self.git_dir + b"/HEAD", head.encode("ascii") + b"\n")
        if suspect:
            self._tree.forget_times(head)
        self._move(head, self._clear(head, left, kept), left, kept)
        self._fill()
        base = ""
        if not refs.stand(self.git_dir, self.wanted, note):
            complete = note.tags == gitdir.digest_of(self.wanted.tags)
            tags = self.wanted.tags if complete else self._find_tags()
            if sandbox_refs.arrange(self.git_dir, self.wanted, tags, left_by, refs, note):
                base = note.commit
            gitdir.write_note(self.git_dir, self.wanted, len(tags) == len(self.wanted.tags))
        return Renewed(
            moved=""
            if note.commit == self.wanted.commit
            else f"{note.commit[:7]} -> {self.wanted.commit[:7]}",
            base=base,
            made=head not in (note.commit, self.wanted.commit),
        )

    def check_modules(self, commits: dict[bytes, str]) -> None:
        """Raises ValueError where a submodule (path from `rel`) is not the one that the commit
        records, StepFailed."""
        recorded = self._tree.recorded(self.wanted.commit, commits) if commits else {}
        for path, commit in commits.items():
            if recorded.get(path) != commit:
                found = recorded.get(path, "none")[:10]
                raise ValueError(
                    f"submodule {os.fsdecode(trees.join(self.rel, path))} was sent at {commit[:10]},"
                    f" but the commit records {found}"
                )

    def _fill(self) -> None:
        """Contents where pointers of Git LFS stand."""
        if self._contents is not None and self._contents.fill(self.wanted.commit) is None:
            self._tree.write(self.wanted.commit, everything=True)
            self._contents.fill(self.wanted.commit)

    # --- what differs, out of the way ---

    def _clear(self, head: str, left: Left, kept: Kept) -> Cleared:
        """Move every difference to left/, but for what is kept."""
        changed: dict[bytes, Optional[bytes]] = {}
        while True:
            seen = self._tree.look(head, self.wanted.commit)
            if seen.tracked:
                kept.paths()  # while all is in place
            links = self._tree.gitlinks()
            strangers = [link for link in links - self._modules if self._is_used(link)]
            stay, moved = self._clear_untracked((*seen.untracked, *strangers), left, kept)
            for link in strangers:
                self._empty_directory(link)
            same = self._contents.unchanged(head, seen.tracked) if self._contents else ()
            for rel in seen.tracked:
                if rel in same:
                    continue
                path = None if rel in links else left.take(trees.join(self.rel, rel))
                changed[rel] = path or changed.get(rel)
                moved += [rel] if path else []
            if any(os.path.basename(rel) == _ATTRIBUTES for rel in moved):
                # files may have been written under the attributes that are gone now
                self._tree.forget_times(head)
            elif seen.whole or not moved:
                return Cleared(
                    changed=changed, stay=tuple(stay), attributes=seen.attributes, ahead=seen.ahead
                )

    def _is_used(self, link: bytes) -> bool:
        """Whether anything lies at a submodule's path that should be an empty directory."""
        path = trees.join(self.rel, link)
        found = trees.look(self._top, path)
        if found is None:
            return False
        return trees.holds_anything(self._top + b"/" + path)

    def _empty_directory(self, link: bytes) -> None:
        """As git leaves it; git also removes its parents with it, and only with it."""
        path = trees.join(self.rel, link)
        if trees.look(self._top, path) is None and trees.look(self._top, os.path.dirname(path) or b"."):
            os.mkdir(self._top + b"/" + path)

    def _clear_untracked(
        self, rels: Sequence[bytes], left: Left, kept: Kept
    ) -> tuple[list[bytes], list[bytes]]:
        """Move these to left/. The ones that stay (from the sandbox's top), and those moved."""
        stay: list[bytes] = []
        moved: list[bytes] = []
        for rel in rels:
            move, keep = kept.split(trees.join(self.rel, rel))
            stay += keep
            moved += [path for path in move if self._put_aside(path, left)]
        return stay, moved

    def _put_aside(self, path: bytes, left: Left) -> bool:
        """False where only directories stood there, which are removed."""
        if trees.look(self._top, path) is not None and not trees.holds_files(self._top + b"/" + path):
            trees.remove_tree(os.fsdecode(self._top + b"/" + path))
            return False
        return left.take(path) is not None

    # --- to the wanted commit ---

    def _move(self, head: str, cleared: Cleared, left: Left, kept: Kept) -> None:
        if head == self.wanted.commit and not cleared.changed:
            return
        back: dict[bytes, bytes] = {}
        if cleared.stay or kept.paths():
            tracked = Tracked(self._top, self.rel, self._tree.names(self.wanted.commit))
            for path in cleared.stay:
                for clash in tracked.clashes(path):
                    left.take(clash)
            paths = {trees.join(self.rel, rel): at for rel, at in cleared.changed.items() if at}
            back = {p: at for p, at in paths.items() if kept.holds(p) and not tracked.clashes(p)}
        if cleared.changed or cleared.attributes:
            self._tree.write(self.wanted.commit, everything=cleared.attributes)
        else:
            self._tree.move(head, self.wanted.commit, cleared.ahead)
        self._remove_empty_parents(cleared.changed)
        for path, at in back.items():
            trees.move(
                at, trees.make_dirs(self._top, os.path.dirname(path)) + b"/" + os.path.basename(path)
            )

    def _remove_empty_parents(self, rels: Collection[bytes]) -> None:
        """Of files that were gone already when git came to remove them: where their directory
        was gone too, git looks no further up."""
        links = self._tree.gitlinks() if rels else frozenset()
        for rel in rels:
            for parent in reversed(_parents(rel)):
                path = trees.join(self.rel, parent)
                if trees.look(self._top, path) is None:
                    continue
                if parent in links or trees.holds_anything(self._top + b"/" + path):
                    break
                os.rmdir(self._top + b"/" + path)


class Tracked:
    """What a commit tracks, against what is kept from an earlier run. Paths from the
    sandbox's top; `rel` is where the commit's own files lie."""

    def __init__(self, top: bytes, rel: bytes, names: frozenset[bytes]) -> None:
        self._top = top
        self._files = {trees.join(rel, name) for name in names}
        self._dirs = {parent for path in self._files for parent in _parents(path)}

    def clashes(self, path: bytes) -> list[bytes]:
        """The parts of `path` (a file, or a directory) that stand in the commit's way."""
        if path in self._files or any(parent in self._files for parent in _parents(path)):
            return [path]
        if path not in self._dirs:
            return []
        if not trees.is_dir(self._top + b"/" + path):
            return [path]
        below = trees.entries(self._top + b"/" + path)
        return [clash for entry in below for clash in self.clashes(path + b"/" + entry.name)]


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:n]) for n in range(1, len(parts))]
