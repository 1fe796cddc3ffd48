"""The submodules that a commit records, from git's own listings, checked. Pure: the laptop reads
them of its checkouts, the host of what it fetched itself."""

from __future__ import annotations

from dobby.core import urls
from dobby.core.errors import UsageError
from dobby.core.names import check_inside, shown
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GITLINK = "160000"
LEFT_OUT = "none"  # gitmodules(5), submodule.<name>.update


class Recorded(Record):
    """A submodule as its parent's commit has it: `name`, `path`, `url` (as written, "./" where
    none is) and `update` of .gitmodules, and the gitlink's `commit`."""

    name: str
    path: str
    url: str
    update: str
    commit: str


def joined(front: str, name: str) -> str:
    """A nested submodule's whole path or name, from its parent's."""
    return f"{front}/{name}" if front else name


def parse_gitlinks(listing: str, within: str) -> dict[str, str]:
    """path -> commit of every gitlink in `git ls-tree -r -z --full-tree`; none where there is no
    .gitmodules to explain them. Raises UsageError where that is no plain file."""
    links, explained = {}, False
    for entry in listing.split("\0")[:-1]:
        front, _, path = entry.partition("\t")
        mode, _, id = front.split(" ")
        if mode == GITLINK:
            links[path] = id
        elif path == ".gitmodules":
            explained = True
            if not mode.startswith("100"):
                raise UsageError(f"{joined(within, path)} is a symlink, which git does not follow")
    return links if explained else {}


def recorded(config: str, links: dict[str, str], within: str) -> Iterator[Recorded]:
    """The submodules of `git config -z --list` of a .gitmodules that have a gitlink in `links`.
    `within` is the path of the repository that records them.

    Raises UsageError for a name, path or URL that must not be used, with or without a gitlink."""
    file = joined(within, ".gitmodules")
    for name, fields in _sections(config).items():
        if "path" not in fields:
            continue
        what = f"submodule {shown(name)} of {file}"
        path = _check_path(fields["path"].rstrip("/"), f"the path of {what}")
        _check_path(name, f"the name of {what}")
        url = urls.check_ordinary(fields.get("url", "./"), what)
        if path in links:
            yield Recorded(
                name=name, path=path, url=url, update=fields.get("update", ""), commit=links[path]
            )


def _sections(config: str) -> dict[str, dict[str, str]]:
    entries: dict[str, dict[str, str]] = {}
    for entry in config.split("\0")[:-1]:
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, dot, variable = rest.rpartition(".")
        if section == "submodule" and dot:
            entries.setdefault(name, {})[variable] = value
    return entries


def _check_path(path: str, what: str) -> str:
    """`path` itself. Raises UsageError for what leaves the checkout or enters a .git."""
    check_inside(path, what)
    parts = path.split("/")
    if "" in parts or path.startswith("-") or any(part.lower() in (".", ".git", "git~1") for part in parts):
        raise UsageError(f"{what} is {shown(path)}, which is not allowed")
    return path
