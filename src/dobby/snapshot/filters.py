"""Paths under a filter of the laptop's (git-crypt …): the host would get what the filter
stores, not what the user sees, so they are named and refused unless forced (gitattributes(5)).
Git LFS is none of them: its contents travel, wherever .gitattributes of the tree ask for it."""

from __future__ import annotations

import errno
import os

from dobby.core.errors import UsageError
from dobby.core.pointer import FILTER
from dobby.snapshot import cache, git, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.worktree import State

_REGULAR = b"100"  # symlinks and gitlinks are not filtered
_ATTRIBUTES = b".gitattributes"
_LFS = b"filter=" + FILTER.encode()
_MENTIONS_LFS = "lfs"
_MOST_REMEMBERED = 200
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


class Filtered(UsageError):
    """Paths would not arrive as they are seen here."""


def drivers(checkout: Checkout) -> frozenset[str]:
    """The filters that are set up on this laptop; others do nothing here."""
    return frozenset(
        key.split(".", 1)[1].rpartition(".")[0]
        for key, value in checkout.config
        if key.startswith("filter.") and value
    )


def look_at_working_tree(checkout: Checkout, state: State, force: bool) -> bool:
    """Whether its .gitattributes speak of Git LFS. Raises Filtered unless `force`. What git would
    add is asked, before it is added: filters do things."""
    attributes = state.named(_ATTRIBUTES)
    known = drivers(checkout)
    if not attributes and not known:
        return False
    top = os.fsencode(checkout.top)
    texts = {path: _speaks(top + b"/" + path) for path in attributes}
    # One that a sparse checkout leaves out still counts, from the index.
    left_out = any(not os.path.lexists(top + b"/" + path) for path in attributes)
    lfs = left_out or any(_LFS in text for text in texts.values())
    foreign = _foreign(checkout, known)
    if foreign and not force and (left_out or any(texts.values()) or _outside(checkout)):
        _check(checkout.place, foreign, [*state.regular, *state.untracked], "")
    return lfs


def look_at_commit(
    checkout: Checkout,
    place: git.Place,
    commit: str,
    force: bool,
    within: str = "",
    top: bytes | None = None,
) -> bool:
    """Whether its .gitattributes speak of Git LFS. Raises Filtered unless `force`. `within` is the
    submodule's path, with "/", where `place` is one. `top` are the bytes of the .gitattributes at
    its top where these are known: then where no filter is set up here, those alone are asked."""
    known = drivers(checkout)
    if not known and top is not None:
        return _LFS in top
    mentions = _mentions(place, commit)
    foreign = _foreign(checkout, known)
    if foreign and not force and (mentions or _outside(checkout)):
        _check_commit(place, foreign, commit, within)
    return mentions == _MENTIONS_LFS


def _mentions(place: git.Place, commit: str) -> str:
    """Whether its .gitattributes speak of filters, and of Git LFS: "" is no. To find them all git
    reads every tree of the commit, so the answer is remembered."""
    memo = f"{store.memos()}/attributes-{store.key(place.git_dir)}"
    known = cache.load(memo)
    if commit not in known:
        found = git.run(
            place,
            *("grep", "-h", "-a", "-F", "-e", "filter", "--no-color", "--no-recurse-submodules"),
            *(commit, "--", ":(top,glob)**/.gitattributes"),
            ok=(0, 1),
        )
        known[commit] = _MENTIONS_LFS if _LFS in found else "filters" if found else ""
        cache.store(memo, known, _MOST_REMEMBERED)
    return known[commit]


def _foreign(checkout: Checkout, known: frozenset[str]) -> frozenset[str]:
    """Those whose paths cannot travel. Git LFS is one where the laptop's own attributes ask for it,
    of which the host knows nothing."""
    if FILTER in known and _LFS not in _outside(checkout):
        return known - {FILTER}
    return known


def _check_commit(place: git.Place, known: frozenset[str], commit: str, within: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="dobby-") as directory:
        index = place.replace(index=f"{directory}/index")
        git.run(index, "read-tree", commit)
        listed = git.run(index, "ls-files", "-z", "-s").split(b"\0")
        paths = [e.partition(b"\t")[2] for e in listed if e.startswith(_REGULAR)]
        _check(index, known, paths, within, "--cached")


def under_lfs(place: git.Place, paths: list[bytes]) -> set[bytes]:
    """Those of the working tree's `paths` that are under Git LFS."""
    return {path for path, value in _attributes(place, paths) if value == FILTER.encode()}


def _attributes(place: git.Place, paths: Iterable[bytes], *options: str) -> list[tuple[bytes, bytes]]:
    """(path, value of the attribute `filter`) of each."""
    fed = b"\0".join([*paths, b""])
    out = git.run(place, "check-attr", "-z", "--stdin", *options, "filter", input=fed).split(b"\0")
    return list(zip(out[0::3], out[2::3], strict=False))


def _check(
    place: git.Place, known: frozenset[str], paths: Iterable[bytes], within: str, *options: str
) -> None:
    found = [
        (within + os.fsdecode(path), os.fsdecode(value))
        for path, value in _attributes(place, paths, *options)
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


def _outside(checkout: Checkout) -> bytes:
    """What attributes files that are no part of the tree say, where they speak of filters."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    named = [value for key, value in checkout.config if key == "core.attributesfile"]
    files = (
        f"{checkout.common_dir}/info/attributes",
        os.path.expanduser(named[-1]) if named else f"{config}/git/attributes",
        "/etc/gitattributes",
    )
    return b"\n".join(filter(None, (_speaks(os.fsencode(path)) for path in files)))


def _speaks(path: bytes) -> bytes:
    """The bytes of an attributes file that speaks of filters, else nothing."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return b""
    return text if b"filter" in text else b""
