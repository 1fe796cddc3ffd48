"""Directories of an environment that must lie in the checkout (node_modules, .pixi/envs).

They are the job's, not a run's: before a sandbox is made exact they move aside, to
<environment>/KIND/lodged/, and back in once its kind is asked for. Each is one rename, also
where it holds 50,000 files. KIND/lodged.list names those that a build has made.
"""

from __future__ import annotations

import os

from dobby.agent import durable, globs, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dobby.core import layout

_ANYWHERE = b"**/"


def park(job: layout.Job) -> None:
    """Move all of them out of the sandbox. Raises OSError."""
    top = os.fsencode(job.sandbox)
    for where in _kinds(job):
        store = _store(where)
        for rel in listed(where):
            if _is_there(top, rel) and not _is_there(store, rel):
                parent = trees.make_dirs(_made(store), os.path.dirname(rel))
                trees.move(top + b"/" + rel, parent + b"/" + os.path.basename(rel))


def place(where: str, sandbox: str) -> bool:
    """Move those of one kind back in; whether all that its build made is there. What the
    commit itself has at such a path is left alone. Raises OSError."""
    top, store = os.fsencode(sandbox), _store(where)
    whole = True
    for rel in listed(where):
        can_lie = trees.make_way(top, rel)
        if _is_there(store, rel) and can_lie and trees.lstat(top + b"/" + rel) is None:
            trees.move(store + b"/" + rel, top + b"/" + rel)
        whole = whole and _is_there(top, rel) and not _is_there(store, rel)
    return whole


def remove(where: str, sandbox: str) -> None:
    """Those of one kind are to be built anew. Raises OSError."""
    for rel in listed(where):
        if _is_there(os.fsencode(sandbox), rel):
            trees.remove_tree(f"{sandbox}/{os.fsdecode(rel)}")
    trees.remove_tree(f"{where}/lodged")


def record(where: str, found: set[bytes]) -> None:
    """A build has made these."""
    if set(found) != listed(where):
        durable.replace(_list(where), b"\0".join(sorted(found)))


def find(sandbox: str, wanted: Iterable[str]) -> set[bytes]:
    """The directories that `wanted` names (see `Plan.lodged`), relative to the sandbox."""
    top = os.fsencode(sandbox)
    found: set[bytes] = set()
    for path in map(os.fsencode, wanted):
        above, anywhere, name = path.rpartition(_ANYWHERE)
        if anywhere:
            found.update(_below(top, above.rstrip(b"/"), name))
        elif _is_there(top, path):
            found.add(path)
    return found


def listed(where: str) -> frozenset[bytes]:
    """What the build of one kind has made."""
    data = durable.read(_list(where))
    return frozenset(data.split(b"\0") if data else ())


def paths(job: layout.Job) -> frozenset[bytes]:
    """All that lies in the sandbox, or would."""
    return frozenset(rel for where in _kinds(job) for rel in listed(where))


def _below(top: bytes, rel: bytes, name: bytes) -> Iterator[bytes]:
    """Every directory `name` below `rel`; none is looked for inside another."""
    for entry in globs.children(top, rel):
        if entry.is_dir(follow_symlinks=False):
            path = trees.join(rel, entry.name)
            if entry.name == name:
                yield path
            else:
                yield from _below(top, path, name)


def _is_there(top: bytes, rel: bytes) -> bool:
    """A real directory, behind real directories: a job may have put a symlink in its place."""
    return trees.look(top, rel) is not None and trees.is_dir(top + b"/" + rel)


def _made(store: bytes) -> bytes:
    durable.make_dirs(os.fsdecode(store))
    return store


def _store(where: str) -> bytes:
    return os.fsencode(f"{where}/lodged")


def _list(where: str) -> str:
    return f"{where}/lodged.list"


def _kinds(job: layout.Job) -> list[str]:
    top = job.environment
    return [f"{top}/{name}" for name in (sorted(os.listdir(top)) if os.path.isdir(top) else ())]
