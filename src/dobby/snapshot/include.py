"""What `include` names: files that git does not carry (data samples, an .env), as a manifest."""

from __future__ import annotations

import os
import stat

from dobby.core.errors import UsageError
from dobby.core.manifest import EXECUTABLE, FILE, Item, check_path, dump_manifest, leaves, manifest_id
from dobby.core.record import Record
from dobby.snapshot import git
from dobby.snapshot.hashes import Hashes
from dobby.snapshot.worktree import shown_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.take import Snapshot


class Included(Record):
    """The `manifest`'s id ("" where nothing is included), the `contents` that it needs, its own
    among them (SHA-256 -> absolute path, or the bytes), and `notices`, sentences for the user."""

    manifest: str = ""
    contents: dict[str, str | bytes] = {}  # noqa: RUF012 (a record is frozen)
    notices: tuple[str, ...] = ()


def include(checkout: Checkout, snapshot: Snapshot, paths: Iterable[str]) -> Included:
    """The files at and below `paths` (relative to the top), but for those that travel with the
    snapshot already. Raises UsageError for a path that is not here or leads out of the checkout."""
    wanted = list(dict.fromkeys(_normal(checkout, snapshot, path) for path in paths))
    if not wanted:
        return Included()
    tracked = _tracked(checkout, snapshot, wanted)
    notices = [
        f"{_shown(p)} is tracked already: it travels with {snapshot.revision}"
        for p in wanted
        if p in tracked
    ]
    items: dict[str, Item] = {}
    contents: dict[str, str | bytes] = {}
    with Hashes(checkout) as hashes:
        for path in dict.fromkeys(found for start in wanted for found in _files(checkout.top, start)):
            if path in tracked:
                continue
            item, why = _item(checkout.top, path, hashes)
            if item is None:
                notices.append(f"{_shown(path)} {why} and does not travel")
                continue
            items[path] = item
            if item.sha256:
                contents[item.sha256] = f"{checkout.top}/{path}"
    if not items:
        return Included(notices=tuple(notices))
    text = dump_manifest(items.values())
    id = manifest_id(text)
    return Included(manifest=id, contents={**contents, id: text}, notices=tuple(notices))


def _normal(checkout: Checkout, snapshot: Snapshot, given: str) -> str:
    """`given`, checked, without needless parts."""
    path = os.path.normpath(given)
    if path == ".":
        raise UsageError("include . is the whole checkout", "name the files or folders that the run needs")
    check_path(path)
    full = f"{checkout.top}/{path}"
    for module in snapshot.modules:
        if f"{path}/".startswith(f"{module.module.path}/"):
            raise UsageError(f"include {_shown(given)} lies in the submodule {_shown(module.module.path)}")
    if not os.path.lexists(full):
        below = os.path.join(checkout.prefix, given)
        here = checkout.prefix and os.path.lexists(f"{checkout.top}/{below}")
        raise UsageError(
            f"include {_shown(given)}: there is no such file or folder in {checkout.top}",
            f"a path is relative to the checkout's top{f': {below}' if here else ''}",
        )
    parts = path.split("/")
    for count in range(1, len(parts)):
        if os.path.islink(f"{checkout.top}/{'/'.join(parts[:count])}"):
            raise UsageError(
                f"include {_shown(given)} lies behind the link {_shown('/'.join(parts[:count]))}",
                "name the place that the link leads to",
            )
    if os.path.islink(full) and leaves(path, os.readlink(full)):
        raise UsageError(
            f"include {_shown(given)} is a link that leads out of the checkout",
            "put a copy in its place, or keep the data on the host",
        )
    return path


def _tracked(checkout: Checkout, snapshot: Snapshot, paths: list[str]) -> set[str]:
    place = checkout.place.replace(objects=snapshot.objects)
    asked = ("--literal-pathspecs", "ls-tree", "-r", "-z", "--name-only", "--full-tree")
    out = git.run(place, *asked, snapshot.commit, "--", *paths)
    return set(os.fsdecode(out).split("\0"))


def _files(top: str, path: str) -> Iterator[str]:
    """Everything at and below `path` but directories, and what is git's."""
    full = f"{top}/{path}"
    if os.path.islink(full) or not os.path.isdir(full):
        yield path
        return
    try:
        names = sorted(os.listdir(full))
    except OSError as error:
        raise UsageError(f"include {_shown(path)} cannot be read: {error.strerror}") from None
    for name in names:
        if name.lower() != ".git":
            yield from _files(top, f"{path}/{name}")


def _item(top: str, path: str, hashes: Hashes) -> tuple[Item | None, str]:
    """The item of a path, or why it is none."""
    full = f"{top}/{path}"
    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(full)
        return (
            (None, "leads out of the checkout")
            if leaves(path, target)
            else (Item(path=path, target=target), "")
        )
    if not stat.S_ISREG(status.st_mode):
        return None, "is no plain file"
    id, size = hashes.of(full)
    return Item(path=path, mode=FILE | status.st_mode & EXECUTABLE, sha256=id, size=size), ""


def _shown(path: str) -> str:
    return shown_path(os.fsencode(path))
