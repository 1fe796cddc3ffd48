"""The submodules of a snapshot: what .gitmodules says, checked, and where this laptop has them."""

from __future__ import annotations

import os

from dobby.core.errors import UsageError
from dobby.core.names import shown
from dobby.core.record import Record
from dobby.core.request import Module, check_inside
from dobby.snapshot import filters, git, urls
from dobby.snapshot.checkout import finish_config, is_partial, start_config
from dobby.snapshot.objects import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.snapshot.checkout import Checkout


class ModuleSource(Record):
    """A submodule that travels, and the git directory on this laptop that has its commit."""

    module: Module
    git_dir: str
    objects: tuple[str, ...] = ()


class Parent(Record):
    """A repository whose submodules are sought. `top` is "" where it stands in no working tree;
    `path` and `name` are its own, joined to each of its submodules'."""

    place: git.Place
    top: str
    commit: str
    origin: str
    config: tuple[tuple[str, str], ...]
    path: str = ""
    name: str = ""


def sources(
    checkout: Checkout, place: git.Place, commit: str, force: bool
) -> tuple[list[ModuleSource], list[str]]:
    """The submodules of `commit`, parents first, and a sentence for each that cannot travel.

    Raises UsageError for names, paths and URLs that must not reach a host."""
    parent = Parent(
        place=place,
        top=checkout.top,
        commit=commit,
        origin=_own_url(checkout.config) or checkout.top,
        config=checkout.config,
    )
    return _sources(checkout, parent, force)


def _own_url(config: tuple[tuple[str, str], ...]) -> str:
    return next((value for key, value in config if key == "remote.origin.url"), "")


def _sources(checkout: Checkout, parent: Parent, force: bool) -> tuple[list[ModuleSource], list[str]]:
    found: list[ModuleSource] = []
    notices: list[str] = []
    commits = _gitlinks(parent)
    for name, path, url in _named(parent) if commits else ():
        commit = commits.get(path)
        if commit is None:
            continue
        place, whole = _locate(checkout, parent, name, path, commit), _joined(parent.path, path)
        if isinstance(place, str):
            notices.append(f"the submodule {shown(whole)} does not travel: {place}")
            continue
        if not force:
            filters.check_commit(checkout, place, commit, f"{whole}/")
        module = Module(
            path=whole, name=_joined(parent.name, name), url=urls.without_user_info(url), commit=commit
        )
        found.append(ModuleSource(module=module, git_dir=place.git_dir))
        if git.run(place, "ls-tree", commit, "--", ".gitmodules"):
            inner = Parent(
                place=place,
                top=place.top,
                commit=commit,
                origin=url,
                config=finish_config(start_config(place)),
                path=whole,
                name=_joined(parent.name, name),
            )
            more, said = _sources(checkout, inner, force)
            found += more
            notices += said
    return found, notices


def _joined(front: str, name: str) -> str:
    return f"{front}/{name}" if front else name


def _gitlinks(parent: Parent) -> dict[str, str]:
    """path -> commit of every gitlink; none where there is no .gitmodules to explain them.
    Raises UsageError where that is no plain file."""
    out = os.fsdecode(git.run(parent.place, "ls-tree", "-r", "-z", "--full-tree", parent.commit))
    links, explained = {}, False
    for entry in out.split("\0")[:-1]:
        front, _, path = entry.partition("\t")
        mode, _, id = front.split(" ")
        if mode == "160000":
            links[path] = id
        elif path == ".gitmodules":
            explained = True
            if not mode.startswith("100"):
                raise UsageError(f"{_joined(parent.path, path)} is a symlink, which git does not follow")
    return links if explained else {}


def _named(parent: Parent) -> Iterable[tuple[str, str, str]]:
    """(name, path, URL) of each submodule, checked; the URL as this laptop resolved it."""
    file = _joined(parent.path, ".gitmodules")
    blob = f"--blob={parent.commit}:.gitmodules"
    try:
        out = os.fsdecode(git.run(parent.place, "config", "-z", "--no-includes", "--list", blob))
    except git.GitFailed as error:
        raise UsageError(f"{file} cannot be read: {git.last_words(error.said)}") from None
    entries: dict[str, dict[str, str]] = {}
    for entry in out.split("\0")[:-1]:
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, dot, variable = rest.rpartition(".")
        if section == "submodule" and dot:
            entries.setdefault(name, {})[variable] = value
    chosen = dict(parent.config)
    for name, fields in entries.items():
        if "path" not in fields:
            continue
        what = f"submodule {shown(name)} of {file}"
        path = _check_path(fields["path"].rstrip("/"), f"the path of {what}")
        _check_path(name, f"the name of {what}")
        given = urls.check_ordinary(fields.get("url", "./"), what)
        url = chosen.get(f"submodule.{name}.url") or urls.resolve(parent.origin, given)
        yield name, path, urls.check_ordinary(url, what)


def _check_path(path: str, what: str) -> str:
    """`path` itself. Raises UsageError for what leaves the checkout or enters a .git."""
    check_inside(path, what)
    parts = path.split("/")
    if "" in parts or path.startswith("-") or any(part.lower() in (".", ".git", "git~1") for part in parts):
        raise UsageError(f"{what} is {shown(path)}, which is not allowed")
    return path


def _locate(checkout: Checkout, parent: Parent, name: str, path: str, commit: str) -> git.Place | str:
    """Where this laptop has `commit` of the submodule; else why it cannot travel."""
    candidates = []
    if parent.top and os.path.lexists(f"{parent.top}/{path}/.git"):
        candidates.append((_git_dir(f"{parent.top}/{path}"), f"{parent.top}/{path}"))
    for base in dict.fromkeys(
        (parent.place.git_dir, checkout.common_dir if not parent.path else parent.place.git_dir)
    ):
        candidates.append((f"{base}/modules/{name}", ""))
    reason = f"it is not initialised here (git submodule update --init {path})"
    for git_dir, top in candidates:
        if not os.path.isfile(f"{git_dir}/HEAD") and not os.path.islink(f"{git_dir}/HEAD"):
            continue
        if commit not in known(git_dir, (), [commit]):
            reason = f"its commit {commit[:10]} is not here (git submodule update {path})"
        elif os.path.exists(f"{git_dir}/shallow"):
            reason = f"it is a shallow clone here (git -C {path} fetch --unshallow)"
        elif is_partial(finish_config(start_config(git.Place(git_dir=git_dir)))):
            reason = f"it is a partial clone here (git -C {path} fetch --refetch --no-filter)"
        else:
            return git.Place(git_dir=git_dir, top=top)
    return reason


def _git_dir(top: str) -> str:
    """The git directory of the working tree `top` (gitrepository-layout(5), "gitfile")."""
    path = f"{top}/.git"
    if os.path.isfile(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            path = os.path.join(top, file.read().removeprefix("gitdir:").strip())
    return os.path.realpath(path)
