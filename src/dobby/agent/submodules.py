"""Submodules in a sandbox, laid out as git does it: a gitfile in the worktree, the git
directory in the parent's `modules/` (gitrepository-layout(5))."""

from __future__ import annotations

import os

from dobby.agent import gitdir, trees
from dobby.agent.gitdir import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Optional

    from dobby.agent.checkout import Checkout
    from dobby.agent.left import Kept, Left
    from dobby.core.request import Module


class Place:
    """Where a submodule lies: `path` its files, `git_rel` its git directory, both from the
    sandbox's top; `name` is what its parent calls it; `way_back` leads from the git
    directory to the files."""

    def __init__(self, module: Module, parent: Optional[Place]) -> None:
        self.module = module
        self.parent = parent
        self.path = _checked(module.path)
        self.name = module.name
        git_dir = b".git"
        if parent is not None:
            if not module.name.startswith(parent.module.name + "/"):
                raise ValueError(
                    f"submodule {module.name!r} lies in {parent.module.name!r}, which its name does not say"
                )
            self.name = module.name[len(parent.module.name) + 1 :]
            git_dir = parent.git_rel
        self.git_rel: bytes = git_dir + b"/modules/" + _checked(self.name)
        self.way_back = b"../" * (self.git_rel.count(b"/") + 1) + self.path
        self.gitfile = b"gitdir: " + b"../" * (self.path.count(b"/") + 1) + self.git_rel + b"\n"

    def make(self, top: bytes, checkout: Checkout) -> None:
        """Check it out where the parent has left an empty directory. Raises ValueError where
        it has not: the request names what the commit does not hold."""
        files = top + b"/" + self.path
        if trees.look(top, self.path) is None or not trees.is_dir(files) or trees.entries(files):
            raise ValueError(f"{self.module.path!r} is no submodule of the commit")
        checkout.make()
        gitdir.write(files + b"/.git", self.gitfile)

    def stands(self, top: bytes) -> bool:
        """Whether its worktree leads to its git directory."""
        found = trees.look(top, self.path + b"/.git")
        if found is None or not trees.is_file(top + b"/" + self.path + b"/.git"):
            return False
        return gitdir.read(top + b"/" + self.path + b"/.git") == self.gitfile


def _checked(text: str) -> bytes:
    parts = text.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise ValueError(f"{text!r} is no path or name of a submodule")
    return text.encode("utf-8", "surrogateescape")


def place_modules(modules: Iterable[Module]) -> list[Place]:
    """Parents come before what lies in them. Raises ValueError."""
    places: list[Place] = []
    for module in modules:
        around = [p for p in places if module.path.startswith(p.module.path + "/")]
        places.append(Place(module, max(around, key=lambda p: len(p.path), default=None)))
    return places


def renew_modules(
    top: bytes, modules: Sequence[tuple[Place, Checkout]], left: Left, kept: Kept, left_by: str
) -> dict[str, str]:
    """Bring every submodule to its commit and remove the git directories of others.

    Module name -> the commit that the job built its own upon, where it did. Raises
    StepFailed, ValueError, OSError."""
    bases = {}
    _drop_others(top, b".git/modules", {place.git_rel for place, _ in modules}, left)
    for place, checkout in modules:
        try:
            if not place.stands(top):
                raise Broken("its worktree does not lead to it")
            base = checkout.renew(left, kept, left_by).base
            if base:
                bases[place.module.name] = base
        except Broken:
            _make_anew(top, place, checkout, left, kept)
    return bases


def _make_anew(top: bytes, place: Place, checkout: Checkout, left: Left, kept: Kept) -> None:
    files = top + b"/" + place.path
    below = [p for p in kept.paths() if p.startswith(place.path + b"/")]
    if trees.look(top, place.path) is None:
        raise ValueError(f"{place.module.path!r} is no submodule of the commit")
    old = left.take(place.path, quiet=not trees.holds_files(files))
    left.take(place.git_rel, quiet=True)
    os.mkdir(files)
    place.make(top, checkout)
    for path in sorted(below):
        if old is not None:
            trees.bring_back(old, files, path[len(place.path) + 1 :])


def _drop_others(top: bytes, rel: bytes, ours: set[bytes], left: Left) -> None:
    """Move to left/ what lies in a `modules` directory and is none of ours."""
    if trees.look(top, rel) is None:
        return
    for entry in trees.entries(top + b"/" + rel):
        path = rel + b"/" + entry.name
        if path in ours:
            _drop_others(top, path + b"/modules", ours, left)
        elif any(name.startswith(path + b"/") for name in ours):
            _drop_others(top, path, ours, left)
        else:
            left.take(path, quiet=True)
