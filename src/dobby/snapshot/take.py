"""A revision, or the working tree, as one commit that can be sent."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.names import check_revision
from dobby.core.record import Record
from dobby.snapshot import (
    commits,
    dirty,
    filters,
    modules,
    objects,
    revisions,
    store,
    worktree,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.pointers import File

_SHALLOW = "this is a {} clone: the commit travels without its history, as {}"


class Snapshot(Record):
    """The exact commit to run. `revision` is as given; `branch` the local branch to stand on
    ("" is a detached head); `base` the commit of the user's history that it stands on (itself,
    or HEAD under a working tree; "" without one), and `parents` that one's. `changed` and
    `untracked` count files. `objects` are further object directories to read it with; `notices`
    are sentences for the user. A `parentless` one was cut from a history that is not whole here.
    `lfs` names the repositories that may have files under Git LFS ("" is the checkout's own, else a
    submodule);
    `made` are the ids of all that is new in a working tree upon its `base`.
    `contents` are those that git-lfs does not keep: (SHA-256, absolute path of the file). `files` has
    the contents of those of its files that were asked for, by path."""

    commit: str
    tree: str
    revision: str
    branch: str
    subject: str
    base: str
    is_working_tree: bool
    changed: int = 0
    untracked: int = 0
    untracked_bytes: int = 0
    modules: tuple[modules.ModuleSource, ...] = ()
    objects: tuple[str, ...] = ()
    parentless: bool = False
    notices: tuple[str, ...] = ()
    lfs: tuple[str, ...] = ()
    contents: tuple[tuple[str, str], ...] = ()
    parents: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    files: dict[str, bytes] = {}  # noqa: RUF012 (a record is frozen)


def take(
    checkout: Checkout,
    revision: str,
    *,
    untracked_limit_bytes: int,
    force: bool = False,
    files: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Snapshot:
    """The snapshot of a branch, tag or commit, or with "." of the working tree as it stands; its
    `files` are read on the way, by the git that is asked anyway.

    `say` is told what takes long. Raises UsageError for a revision that nobody has, and, unless
    `force`, for files that would not arrive as they are seen here; DobbyError where git fails."""
    check_revision(revision)
    if revision == ".":
        return _working_tree(checkout, untracked_limit_bytes, force, files)
    return _revision(checkout, revision, force, files, say)


def _revision(
    checkout: Checkout,
    revision: str,
    force: bool,
    files: tuple[str, ...],
    say: Callable[[str], None],
) -> Snapshot:
    found = revisions.resolve(checkout, revision, files, say)
    commit = commits.parse_commit(found.commit)
    snapshot = Snapshot(
        commit=commit.id,
        tree=commit.tree,
        revision=revision,
        branch=found.branch,
        subject=commit.subject,
        base=commit.id,
        parents=commit.parents,
        is_working_tree=False,
        objects=store.existing(checkout),
        files=found.files,
    )
    place = checkout.place.replace(objects=snapshot.objects)
    lfs = filters.look_at_commit(checkout, place, commit.id, force, top=found.attributes)
    snapshot = snapshot.replace(lfs=("",) if lfs else ())
    snapshot = _parentless(checkout, snapshot, found.commit)
    return _with_modules(checkout, snapshot, force) if found.has_modules else snapshot


def _parentless(checkout: Checkout, snapshot: Snapshot, commit: objects.Object) -> Snapshot:
    """`snapshot`, as a copy of `commit` without parents where this clone lacks its history."""
    if not checkout.shallow and not checkout.partial:
        return snapshot
    id = commits.write_parentless(checkout, commit)
    kind = "shallow" if checkout.shallow else "partial"
    copy: Snapshot = snapshot.replace(
        commit=id,
        parentless=True,
        objects=store.existing(checkout),
        notices=(*snapshot.notices, _SHALLOW.format(kind, id[:10])),
    )
    return copy


def _working_tree(checkout: Checkout, limit_bytes: int, force: bool, files: tuple[str, ...]) -> Snapshot:
    with _reader(checkout) as read:  # started first: it is ready when status is
        snapshot, head, has_modules = _standing(checkout, read, limit_bytes, force)
        if files:
            snapshot = snapshot.replace(files=_files(checkout, read, snapshot, files))
    if head is not None:
        snapshot = _parentless(checkout, snapshot, head)
    return _with_modules(checkout, snapshot, force) if has_modules else snapshot


def _reader(checkout: Checkout) -> objects.Reader:
    return objects.Reader(checkout.place.replace(objects=store.existing(checkout)))


def _files(
    checkout: Checkout, read: objects.Reader, snapshot: Snapshot, paths: tuple[str, ...]
) -> dict[str, bytes]:
    if read.place.objects == snapshot.objects:
        return read.files(snapshot.tree, paths)
    with _reader(checkout) as again:  # there is a store of ours only now
        return again.files(snapshot.tree, paths)


def _of_module(module: Checkout, limit_bytes: int, force: bool) -> Snapshot:
    with _reader(module) as read:
        return _standing(module, read, limit_bytes, force)[0]


def _standing(
    checkout: Checkout, read: objects.Reader, limit_bytes: int, force: bool
) -> tuple[Snapshot, objects.Object | None, bool]:
    """What stands in the working tree, submodules' changes included, but not what they are yet;
    HEAD's commit where it is that; and whether there may be submodules."""
    looking = worktree.Looking(checkout)
    from dobby.snapshot import standing  # there is time now

    state = looking.state()
    head = read.get(state.head) if state.head else None
    worktree.check_untracked(checkout, state, limit_bytes)
    lfs = filters.look_at_working_tree(checkout, state, force)
    base = commits.parse_commit(head) if head is not None else None
    if base is None and not state.listing and not state.untracked:
        raise UsageError(f"{checkout.top} has no commit and no files yet", "there is nothing to run")
    links, said, theirs = dirty.commits(
        checkout, state, lambda module: _of_module(module, limit_bytes, force)
    )
    tree, changed = base.tree if base else "", 0
    under_lfs: tuple[File, ...] = ()
    made: tuple[str, ...] = ()
    if not base or state.changed or state.untracked or state.flagged or state.nested or links:
        stands = standing.tree_of(checkout, read, state, tree, links, lfs, force)
        tree, changed, under_lfs, made = stands.tree, stands.changed, stands.files, stands.made
    contents = tuple((file.sha256, file.source) for file in under_lfs if file.source)
    snapshot = Snapshot(
        commit=base.id if base else "",
        tree=tree,
        revision=".",
        branch=checkout.branch,
        subject=base.subject if base else "",
        base=base.id if base else "",
        parents=base.parents if base else (),
        is_working_tree=True,
        changed=changed,
        untracked=len(state.untracked),
        untracked_bytes=state.untracked_bytes,
        objects=store.existing(checkout),
        notices=tuple(said),
        lfs=("",) if lfs else (),
        contents=(*contents, *theirs),
        made=made,
    )
    if head is not None and base is not None and tree == base.tree:
        return snapshot, head, state.has_modules
    return _committed(checkout, snapshot, base), None, state.has_modules


def _committed(checkout: Checkout, snapshot: Snapshot, base: commits.Commit | None) -> Snapshot:
    """`snapshot` with a commit of its tree on top of HEAD."""
    cut = base is None or checkout.shallow or checkout.partial
    subject = f"working tree of {checkout.branch or 'a detached head'}"
    date, parent = (base.date, "" if cut else base.id) if base else ("", "")
    id = commits.write_working_tree(checkout, snapshot.tree, parent, date, subject)
    kind = "shallow" if checkout.shallow else "partial"
    done: Snapshot = snapshot.replace(
        commit=id,
        subject=subject,
        parentless=cut,
        objects=store.existing(checkout),
        made=(*snapshot.made, id),
        notices=(*snapshot.notices, *((_SHALLOW.format(kind, id[:10]),) if base and cut else ())),
    )
    return done


def _with_modules(checkout: Checkout, snapshot: Snapshot, force: bool) -> Snapshot:
    place = checkout.place.replace(objects=snapshot.objects)
    found, notices = modules.sources(checkout, place, snapshot.commit, force)
    if not found and not notices:
        return snapshot
    whole: Snapshot = snapshot.replace(
        modules=tuple(found),
        notices=(*snapshot.notices, *notices),
        lfs=(*snapshot.lfs, *(source.module.name for source in found if source.lfs)),
    )
    return whole
