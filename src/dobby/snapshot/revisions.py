"""A revision that the user names -> a commit, fetched from origin where only origin has it."""

from __future__ import annotations

import os

from dobby.core.errors import UsageError
from dobby.core.lazy import regex
from dobby.core.names import shown
from dobby.core.record import Record
from dobby.snapshot import git, store
from dobby.snapshot.objects import Object, Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.snapshot.checkout import Checkout

# git-check-ref-format(1): with one of these it is an expression such as HEAD~2, not a name.
_NO_REF_NAME = regex(r"[ ~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.$|(^|/)\.|\.lock(/|$)|^@$")
_FULL_ID = regex(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_UNKNOWN_OPTION = 129
# Nothing of the user's is written: no FETCH_HEAD, no tracking branch (an empty refmap), no tag.
_FETCH = (
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.writeCommitGraph=false"),
    *("fetch", "-q", "--no-tags", "--refmap=", "--no-prune", "--no-recurse-submodules"),
)


class Found(Record):
    """A commit, the local branch to stand on ("" is a detached head), whether its tree has a
    .gitmodules, the bytes of the .gitattributes at its top, and the `files` that were asked for."""

    commit: Object
    branch: str
    has_modules: bool
    attributes: bytes
    files: dict[str, bytes]


def resolve(checkout: Checkout, revision: str, files: tuple[str, ...], say: Callable[[str], None]) -> Found:
    """The commit that `revision` means, and those of `files` that it has. Raises UsageError where
    nobody has it."""
    found = _find(checkout, revision, files)
    if found is not None:
        return found
    trouble = ""
    if checkout.origin and (_FULL_ID.match(revision) or not _NO_REF_NAME.search(revision)):
        say(f"{revision} is not here, asking origin")
        try:
            found = _from_origin(checkout, revision, files)
        except git.GitFailed as error:
            trouble = f" (origin did not answer: {git.last_words(error.said)})"
    if found is None:
        raise _unknown(checkout, revision, trouble)
    return found


def _find(checkout: Checkout, revision: str, files: tuple[str, ...]) -> Found | None:
    """Local branch, then tag, then origin's branch as last seen, then any expression."""
    with _reader(checkout) as read:
        # HEAD is itself, whatever refs/remotes/origin/HEAD points to.
        if revision != "HEAD" and not _NO_REF_NAME.search(revision):
            name = revision.removeprefix("refs/heads/")
            for ref, branch in (
                (f"refs/heads/{name}", name),
                (f"refs/tags/{revision}", ""),
                (f"refs/remotes/origin/{revision}", revision),
            ):
                found = _found(read, ref, branch, files)
                if found is not None:
                    return found
        found = _found(read, revision, "", files)
        if found is None and revision.startswith(":/"):  # takes all that follows as text to seek
            commit = read.get(revision)
            found = _found(read, commit.id, "", files) if commit is not None else None
        return found


def _reader(checkout: Checkout) -> Reader:
    return Reader(checkout.place.replace(objects=store.existing(checkout)))


def _found(read: Reader, name: str, branch: str, files: tuple[str, ...]) -> Found | None:
    commit = read.get(f"{name}^{{commit}}")
    if commit is None:
        return None
    has_modules = read.get(f"{commit.id}:.gitmodules") is not None
    attributes = read.get(f"{commit.id}:.gitattributes")
    return Found(
        commit=commit,
        branch=branch,
        has_modules=has_modules,
        attributes=attributes.data if attributes is not None else b"",
        files=read.files(commit.id, files),
    )


def _from_origin(checkout: Checkout, revision: str, files: tuple[str, ...]) -> Found | None:
    """The commit, fetched into our own objects. Raises GitFailed."""
    if _FULL_ID.match(revision):
        return _fetch(checkout, revision, revision, "", files)
    refs = (f"refs/heads/{revision}", f"refs/tags/{revision}")
    out = os.fsdecode(git.run(checkout.place, "ls-remote", "-q", "origin", *refs))
    ids = {ref: id for id, _, ref in (line.partition("\t") for line in out.splitlines())}
    for ref, branch in zip(refs, (revision, ""), strict=True):
        if ref in ids:
            return _fetch(checkout, ref, ids[ref], branch, files)
    return None


def _fetch(checkout: Checkout, source: str, id: str, branch: str, files: tuple[str, ...]) -> Found | None:
    place = store.writing(checkout)
    try:
        git.run(place, *_FETCH, "--no-write-fetch-head", "origin", source)
    except git.GitFailed as error:
        if error.code != _UNKNOWN_OPTION:
            raise
        _fetch_before_2_29(checkout, place, source)
    with _reader(checkout) as read:
        return _found(read, id, branch, files)


def _fetch_before_2_29(checkout: Checkout, place: git.Place, source: str) -> None:
    """That git always writes FETCH_HEAD: the user's is put back."""
    path = f"{checkout.git_dir}/FETCH_HEAD"
    aside = f"{path}.dobby"
    if os.path.exists(path):
        os.replace(path, aside)
    try:
        git.run(place, *_FETCH, "origin", source)
    finally:
        if os.path.exists(aside):
            os.replace(aside, path)
        elif os.path.exists(path):
            os.unlink(path)


def _unknown(checkout: Checkout, revision: str, trouble: str) -> UsageError:
    import difflib

    out = git.run(
        checkout.place,
        *("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes/origin"),
    )
    refs = os.fsdecode(out).splitlines()
    names = {ref.split("/", 3)[3] if ref.startswith("refs/r") else ref.split("/", 2)[2] for ref in refs}
    near = difflib.get_close_matches(revision, sorted(names - {"HEAD"}))
    if not refs and not _find(checkout, "HEAD", ()):
        return UsageError(f"{checkout.top} has no commit yet", "commit first, or run the working tree: .")
    asked = " here or on origin" if checkout.origin else " here"
    return UsageError(
        f"{shown(revision)} is no branch, tag or commit{asked}{trouble}",
        f"the nearest: {', '.join(near)}" if near else "git branch -a lists the branches",
    )
