"""The submodules of a snapshot: what .gitmodules says, checked, and where this laptop has them."""

from __future__ import annotations

import os

from dobby.core import gitmodules, urls
from dobby.core.errors import UsageError
from dobby.core.gitmodules import joined
from dobby.core.names import shown
from dobby.core.record import Record
from dobby.core.request import Module
from dobby.snapshot import filters, git, store
from dobby.snapshot.checkout import finish_config, is_partial, own_url, rules_of, start_config
from dobby.snapshot.objects import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.gitmodules import Recorded
    from dobby.snapshot.checkout import Checkout


class ModuleSource(Record):
    """A submodule, the git directory on this laptop that has its commit ("" where the host is to
    fetch it), and further object directories. A `cut` one is a shallow or partial clone: its
    commit travels as it is, without the history. `lfs`: its .gitattributes speak of Git LFS."""

    module: Module
    git_dir: str
    objects: tuple[str, ...] = ()
    cut: bool = False
    lfs: bool = False


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


class Located(Record):
    """A git directory that has a submodule's commit."""

    place: git.Place
    cut: bool


def sources(
    checkout: Checkout, place: git.Place, commit: str, force: bool
) -> tuple[list[ModuleSource], list[str]]:
    """The submodules of `commit`, parents first, and a sentence for each that the host fetches.

    Raises UsageError for names, paths and URLs that must not reach a host."""
    parent = Parent(
        place=place,
        top=checkout.top,
        commit=commit,
        origin=_base(own_url(checkout.config), checkout.top),
        config=checkout.config,
    )
    return _sources(checkout, parent, force)


def _base(url: str, top: str) -> str:
    """What relative URLs are resolved against: origin's own, without one the checkout; a path is
    made absolute, for on the host it would be relative to something else."""
    return url if urls.is_elsewhere(url) else os.path.normpath(os.path.join(top, url))


def _sources(checkout: Checkout, parent: Parent, force: bool) -> tuple[list[ModuleSource], list[str]]:
    found: list[ModuleSource] = []
    notices: list[str] = []
    for recorded in _recorded(parent):
        whole = joined(parent.path, recorded.path)
        located = _locate(checkout, parent, recorded)
        url = _url(parent, recorded)
        module = Module(
            path=whole,
            name=joined(parent.name, recorded.name),
            url=urls.split_login(url)[0],
            commit=recorded.commit,
            fetch=isinstance(located, str),
        )
        if isinstance(located, str):
            if _update(parent, recorded) != gitmodules.LEFT_OUT:
                away = urls.without_user_info(url)
                notices.append(f"the host fetches the submodule {whole} from {away}: {located}")
                found.append(ModuleSource(module=module, git_dir=""))
            continue
        place = located.place
        lfs = filters.look_at_commit(checkout, place, recorded.commit, force, f"{whole}/")
        source = ModuleSource(module=module, git_dir=place.git_dir, objects=place.objects)
        found.append(source.replace(cut=located.cut, lfs=lfs))
        if git.run(place, "ls-tree", recorded.commit, "--", ".gitmodules"):
            inner = Parent(
                place=place,
                top=place.top,
                commit=recorded.commit,
                origin=url,
                config=finish_config(start_config(place)),
                path=whole,
                name=module.name,
            )
            more, said = _sources(checkout, inner, force)
            found += more
            notices += said
    return found, notices


def _recorded(parent: Parent) -> list[Recorded]:
    tree = ("ls-tree", "-r", "-z", "--full-tree", parent.commit)
    links = gitmodules.parse_gitlinks(os.fsdecode(git.run(parent.place, *tree)), parent.path)
    if not links:
        return []
    blob = f"--blob={parent.commit}:.gitmodules"
    try:
        out = os.fsdecode(git.run(parent.place, "config", "-z", "--no-includes", "--list", blob))
    except git.GitFailed as error:
        file = joined(parent.path, ".gitmodules")
        raise UsageError(f"{file} cannot be read: {git.last_words(error.said)}") from None
    return list(gitmodules.recorded(out, links, parent.path))


def _url(parent: Parent, recorded: Recorded) -> str:
    """The URL as this laptop resolved it. A name of the laptop's own (`gh:team/x`) means
    nothing on a host; what is a URL already is not rewritten for the laptop's access."""
    own = dict(parent.config).get(f"submodule.{recorded.name}.url")
    url = own or urls.resolve(parent.origin, recorded.url)
    if not urls.has_scheme(url):
        url = urls.instead_of(url, rules_of(parent.config))
    file = joined(parent.path, ".gitmodules")
    return urls.check_ordinary(url, f"submodule {shown(recorded.name)} of {file}")


def _update(parent: Parent, recorded: Recorded) -> str:
    return dict(parent.config).get(f"submodule.{recorded.name}.update", recorded.update)


def _locate(checkout: Checkout, parent: Parent, recorded: Recorded) -> Located | str:
    """Where this laptop has the commit of the submodule; else why it does not."""
    path, commit = recorded.path, recorded.commit
    candidates = []
    if parent.top and os.path.lexists(f"{parent.top}/{path}/.git"):
        candidates.append((git_dir_of(f"{parent.top}/{path}"), f"{parent.top}/{path}"))
    for base in dict.fromkeys(
        (parent.place.git_dir, checkout.common_dir if not parent.path else parent.place.git_dir)
    ):
        candidates.append((f"{base}/modules/{recorded.name}", ""))
    reason = "it is not initialised here"
    for git_dir, top in candidates:
        if not os.path.isfile(f"{git_dir}/HEAD") and not os.path.islink(f"{git_dir}/HEAD"):
            continue
        objects = store.beside(_common_dir(git_dir))
        if commit not in known(git_dir, objects, [commit]):
            reason = f"its commit {commit[:10]} is not here"
            continue
        place = git.Place(git_dir=git_dir, top=top, objects=objects)
        cut = os.path.exists(f"{git_dir}/shallow") or is_partial(finish_config(start_config(place)))
        return Located(place=place, cut=cut)
    return reason


def git_dir_of(top: str) -> str:
    """The git directory of the working tree `top` (gitrepository-layout(5), "gitfile")."""
    path = f"{top}/.git"
    if os.path.isfile(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            path = os.path.join(top, file.read().removeprefix("gitdir:").strip())
    return os.path.realpath(path)


def _common_dir(git_dir: str) -> str:
    """Where a linked worktree keeps its objects; else `git_dir` itself."""
    try:
        with open(f"{git_dir}/commondir", encoding="utf-8", errors="surrogateescape") as file:
            return os.path.realpath(os.path.join(git_dir, file.read().strip()))
    except FileNotFoundError:
        return os.path.realpath(git_dir)
