"""Paths under a filter of the laptop's (git-crypt, LFS): the host would get what the filter
stores, not what the user sees, so they are named and refused unless forced (gitattributes(5))."""

from __future__ import annotations

import os
import tempfile

from dobby.core.errors import UsageError
from dobby.snapshot import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.worktree import State

_REGULAR = b"100"  # symlinks and gitlinks are not filtered


class Filtered(UsageError):
    """Paths would not arrive as they are seen here."""


def drivers(checkout: Checkout) -> frozenset[str]:
    """The filters that are set up on this laptop; others do nothing here."""
    return frozenset(
        key.split(".", 1)[1].rpartition(".")[0]
        for key, value in checkout.config
        if key.startswith("filter.") and value
    )


def check_working_tree(checkout: Checkout, state: State) -> None:
    """Raises Filtered. What git would add is asked, before it is added: filters do things."""
    known = drivers(checkout)
    if not known:
        return
    paths = [*(path for mode, path in state.tracked if mode.startswith(_REGULAR)), *state.untracked]
    attributes = [path for path in paths if path.rpartition(b"/")[2] == b".gitattributes"]
    top = os.fsencode(checkout.top)
    if not _outside_mentions(checkout) and not any(
        # One that a sparse checkout leaves out still counts, from the index.
        not os.path.lexists(top + b"/" + path) or _mentions(top + b"/" + path)
        for path in attributes
    ):
        return
    _check(checkout.place, known, paths, "")


def check_commit(checkout: Checkout, place: git.Place, commit: str, within: str = "") -> None:
    """Raises Filtered. `within` is the submodule's path, with "/", where `place` is one."""
    known = drivers(checkout)
    if not known:
        return
    mentioned = git.run(
        place,
        *("grep", "-l", "-z", "-a", "-F", "-e", "filter", "--no-color", "--no-recurse-submodules"),
        *(commit, "--", ":(top,glob)**/.gitattributes"),
        ok=(0, 1),
    )
    if not mentioned and not _outside_mentions(checkout):
        return
    with tempfile.TemporaryDirectory(prefix="dobby-") as directory:
        index = place.replace(index=f"{directory}/index")
        git.run(index, "read-tree", commit)
        listed = git.run(index, "ls-files", "-z", "-s").split(b"\0")
        paths = [e.partition(b"\t")[2] for e in listed if e.startswith(_REGULAR)]
        _check(index, known, paths, within, "--cached")


def _check(
    place: git.Place, known: frozenset[str], paths: Iterable[bytes], within: str, *options: str
) -> None:
    fed = b"\0".join([*paths, b""])
    out = git.run(place, "check-attr", "-z", "--stdin", *options, "filter", input=fed).split(b"\0")
    found = [
        (within + os.fsdecode(path), os.fsdecode(value))
        for path, value in zip(out[0::3], out[2::3], strict=False)
        if os.fsdecode(value) in known
    ]
    if not found:
        return
    names = ", ".join(path if path.isprintable() else repr(path) for path, _ in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    by = ", ".join(sorted({value for _, value in found}))
    raise Filtered(
        f"{names}{more}: under the filter {by}, so the host would get what that filter stores,"
        " not what you see here",
        "--force sends them like that",
    )


def _outside_mentions(checkout: Checkout) -> bool:
    """Whether an attributes file that is no part of the tree speaks of filters."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    named = [value for key, value in checkout.config if key == "core.attributesfile"]
    files = (
        f"{checkout.common_dir}/info/attributes",
        os.path.expanduser(named[-1]) if named else f"{config}/git/attributes",
        "/etc/gitattributes",
    )
    return any(_mentions(os.fsencode(path)) for path in files)


def _mentions(path: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return b"filter" in file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
