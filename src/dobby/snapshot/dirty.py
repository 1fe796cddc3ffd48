"""Submodules of the working tree that have changes in no commit: each becomes a commit of its own."""

from __future__ import annotations

import os
import re

from dobby.core.lazy import regex
from dobby.snapshot import modules, worktree
from dobby.snapshot.checkout import open_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.take import Snapshot
    from dobby.snapshot.worktree import State

_IGNORE = regex(rb"^\s*ignore\s*=", re.MULTILINE | re.IGNORECASE)


def commits(
    checkout: Checkout, state: State, stand: Callable[[Checkout], Snapshot]
) -> tuple[dict[bytes, str], list[str], list[tuple[str, str]]]:
    """path -> commit of each submodule that differs from the commit it stands on, a sentence for
    each, and their changed contents under Git LFS. `stand` gives the commit of a working tree, its
    own where nothing differs."""
    found: dict[bytes, str] = {}
    said: list[str] = []
    contents: list[tuple[str, str]] = []
    for path in [*state.dirty_modules, *_hiding(checkout, state)]:
        top = f"{checkout.top}/{os.fsdecode(path)}"
        taken = stand(open_module(modules.git_dir_of(top), top))
        if taken.commit == taken.base:
            continue
        found[path] = taken.commit
        contents += taken.contents
        said.append(
            f"the submodule {worktree.shown_path(path)} travels with its uncommitted changes"
            f" ({taken.changed} changed, {taken.untracked} untracked)"
        )
        said += [f"in {worktree.shown_path(path)}: {notice}" for notice in taken.notices]
    return found, said, contents


def _hiding(checkout: Checkout, state: State) -> list[bytes]:
    """Clean submodules whose settings let git overlook changes in their own submodules."""
    top = os.fsencode(checkout.top)
    return [
        path
        for path in state.links
        if path not in state.dirty_modules
        and path not in state.nested
        and os.path.lexists(top + b"/" + path + b"/.git")
        and any(map(_ignores, _settings_of(top + b"/" + path)))
    ]


def _settings_of(top: bytes) -> tuple[bytes, bytes]:
    return top + b"/.gitmodules", os.fsencode(modules.git_dir_of(os.fsdecode(top))) + b"/config"


def _ignores(path: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return _IGNORE.search(file.read()) is not None
    except OSError:
        return False
