"""The working tree as it stands -> a tree, in dobby's own store: HEAD's tree with what `git status` names
put in. Only what changed is read and written."""

from __future__ import annotations

from dobby.core.errors import DobbyError, UsageError
from dobby.core.record import Record
from dobby.snapshot import loose, pointers, store, worktree
from dobby.snapshot.own_index import OwnIndex
from dobby.snapshot.trees import Trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.objects import Reader
    from dobby.snapshot.pointers import File
    from dobby.snapshot.trees import Edits
    from dobby.snapshot.worktree import State

_GITLINK = "160000"


class Standing(Record):
    """A working tree's `tree`, how many tracked files have `changed`, those of its `files` that are under
    Git LFS and differ, and the ids of the objects that were `made` of it."""

    tree: str
    changed: int
    files: tuple[File, ...]
    made: tuple[str, ...]


def tree_of(
    checkout: Checkout,
    read: Reader,
    state: State,
    base: str,
    links: Mapping[bytes, str],
    lfs: bool,
    force: bool,
) -> Standing:
    """What stands there upon `base`, HEAD's tree ("" before the first commit), with submodules at `links`.
    Raises UsageError unless `force` where git hides edits."""
    with OwnIndex(checkout) as index:
        hidden = index.hidden_edits(state.flagged)
        if hidden and not force:
            raise _hidden(hidden)
        changed = [*state.changed, *hidden]
        paths = [*sorted({*changed} - {*state.gone, *links}), *state.untracked]
        files = pointers.look(checkout, paths) if lfs and paths else ()
        own = {file.path for file in files}
        plain = [path for path in paths if path not in own]
        edits: dict[bytes, tuple[str, str] | None] = dict.fromkeys([*state.gone, *state.nested])
        edits.update(index.add(plain, state) if plain else {})
    tree, made = _written(checkout, read, base, edits, links, files)
    return Standing(tree=tree, changed=0 if tree == base else len(changed), files=files, made=made)


def _hidden(paths: list[bytes]) -> UsageError:
    names = ", ".join(map(worktree.shown_path, paths[:3]))
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return UsageError(
        f"{names}{more}: edited, but hidden from git by skip-worktree or assume-unchanged",
        "--force sends the edits; git update-index --no-skip-worktree --no-assume-unchanged"
        " shows them to git",
    )


def _written(
    checkout: Checkout,
    read: Reader,
    base: str,
    edits: Edits,
    links: Mapping[bytes, str],
    files: tuple[File, ...],
) -> tuple[str, tuple[str, ...]]:
    """`base` after `edits`, with these `links`, and the own texts of `files`; and all that is new in it."""
    own, form = store.writing(checkout).write, checkout.object_format
    made = {edit[1]: None for edit in edits.values() if edit and edit[0] != _GITLINK}

    def write(kind: str, data: bytes) -> str:
        id = loose.write(own, form, kind, data)
        made[id] = None
        return id

    def tree(id: str) -> bytes:
        found = read.get(id)
        if found is None:
            raise DobbyError(f"{checkout.top}: the tree {id} is missing", "`git fsck` says what else is")
        return found.data

    texts = {file.path: (file.mode, write("blob", file.text)) for file in files}
    commits = {path: (_GITLINK, commit) for path, commit in links.items()}
    trees = Trees(tree, lambda data: write("tree", data), 32 if form == "sha256" else 20)
    return trees.edited(base, {**edits, **texts, **commits}), tuple(made)
