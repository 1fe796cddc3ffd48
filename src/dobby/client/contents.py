"""Answers a host's question for contents that git does not carry: of Git LFS, and included files.

What the laptop's LFS store lacks is fetched into it by git-lfs, for the commit that runs alone, and
only once a host has asked for it."""

from __future__ import annotations

import os

from dobby.core import json, protocol
from dobby.core.errors import DobbyError
from dobby.core.manifest import check_sha256
from dobby.core.names import shown
from dobby.core.record import Record
from dobby.snapshot import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dobby.snapshot import Checkout, Snapshot

CHUNK = 1 << 18
_TOLD_BYTES = 1_000_000  # from here on, that it is sent is worth a sentence
# All of the commit, and nothing but it, whatever the user leaves out when working.
_ALL_OF_IT = (
    *("-c", "lfs.fetchinclude=", "-c", "lfs.fetchexclude="),
    *("-c", "lfs.fetchrecentalways=false", "-c", "lfs.fetchrecentrefsdays=0"),
)


class Repository(Record):
    """Where contents of Git LFS are sought: `place` of its git, `common_dir`, the `commit` that
    git-lfs is to fetch (one that origin may know), and how people call it."""

    place: git.Place
    common_dir: str
    commit: str
    name: str


class Contents:
    """The contents of one snapshot. `files` are further ones by their SHA-256: a path to read, or
    the bytes themselves."""

    def __init__(
        self,
        checkout: Checkout,
        snapshot: Snapshot,
        files: Mapping[str, str | bytes],
        progress: Callable[[str, int, int | None], None],
        say: Callable[[str], None],
    ) -> None:
        self._files = {**dict(snapshot.contents), **files}
        self._progress, self._say = progress, say
        own = checkout.place.replace(objects=snapshot.objects)
        commit = snapshot.base or snapshot.commit
        self._repositories = {
            "": Repository(place=own, common_dir=checkout.common_dir, commit=commit, name="")
        }
        for source in snapshot.modules:
            self._repositories[source.module.name] = Repository(
                place=git.Place(git_dir=source.git_dir, objects=source.objects),
                common_dir=source.git_dir,
                commit=source.module.commit,
                name=source.module.path,
            )
        self._stores: dict[str, list[str]] = {}

    def answer(self, repository: str, wanted: list[tuple[str, int]]) -> Iterator[bytes]:
        """Frames: that contents follow, then each as frames up to an empty one. A size of -1 is not
        known to the host. Raises DobbyError for what is not to be had, and for names that are none
        of a content: they become paths."""
        for id, _ in wanted:
            check_sha256(id)
        if repository not in self._repositories:
            what = shown(str(repository))
            raise DobbyError(f"the host asked for contents of {what}, which is no part of this run")
        sources = self._find(repository, wanted)
        total = sum(size for _, size in wanted if size > 0)
        if total >= _TOLD_BYTES:
            self._say(f"sending {_count(len(wanted), 'file')} beside the commits, {total / 1e6:.1f} MB")
        yield protocol.frame(json.dumps({"blobs": True}).encode())
        sent = 0
        for source in sources:
            for data in _chunks(source):
                sent += len(data)
                self._progress("sending files", sent, total or None)
                yield protocol.frame(data)
            yield protocol.frame(b"")

    def _find(self, repository: str, wanted: list[tuple[str, int]]) -> list[str | bytes]:
        found = {id: self._source(repository, id, size) for id, size in wanted}
        lacking = [(id, size) for id, size in wanted if found[id] is None]
        if lacking:
            said = self._fetch(self._repositories[repository], lacking)
            found.update({id: self._source(repository, id, size) for id, size in lacking})
            lost = [id for id, _ in lacking if found[id] is None]
            if lost:
                raise DobbyError(
                    f"{_count(len(lost), 'file')} under Git LFS, such as {lost[0][:12]}, could not be"
                    f" fetched here: {said or 'git lfs fetch did not bring them'}; nothing was started",
                    "`git lfs fetch` in the checkout says more",
                )
        return [source for id, _ in wanted if (source := found[id]) is not None]

    def _source(self, repository: str, id: str, size: int) -> str | bytes | None:
        if id in self._files:
            return self._files[id]
        for folder in self._stores_of(repository):
            path = f"{folder}/{id[:2]}/{id[2:4]}/{id}"
            try:
                if os.stat(path).st_size == size:
                    return path
            except OSError:
                continue
        return None

    def _stores_of(self, name: str) -> list[str]:
        """The `objects` directories of git-lfs: the repository's, and of those that it borrows from."""
        if name not in self._stores:
            here = self._repositories[name]
            asked = ("config", "--path", "--get", "lfs.storage")
            told = os.fsdecode(git.run(here.place, *asked, ok=(0, 1))).rstrip("\n")
            own = os.path.join(here.common_dir, told or "lfs")
            borrowed = [f"{os.path.dirname(path)}/lfs" for path in _alternates(here.common_dir)]
            self._stores[name] = [f"{folder}/objects" for folder in (own, *borrowed)]
        return self._stores[name]

    def _fetch(self, here: Repository, lacking: list[tuple[str, int]]) -> str:
        """What git-lfs said where it failed; whether it brought what is needed is seen after."""
        what = f"{_count(len(lacking), 'file')} under Git LFS"
        what += f" of {here.name}" if here.name else ""
        remotes = os.fsdecode(git.run(here.place, "remote")).split()
        if not remotes:
            return "the repository has no remote to fetch them from"
        from shutil import which  # with every compression of Python's: 15 ms

        if which("git-lfs") is None:
            raise DobbyError(
                f"{what} are not on this laptop, and git-lfs, which fetches them, is not installed;"
                " nothing was started",
                "install git-lfs (https://git-lfs.com)",
            )
        remote = "origin" if "origin" in remotes else remotes[0]
        size = sum(size for _, size in lacking)
        self._say(f"fetching {what} from {remote}, {size / 1e6:.1f} MB (git lfs fetch)")
        try:
            git.run(here.place, *_ALL_OF_IT, "lfs", "fetch", remote, here.commit)
        except git.GitFailed as error:
            return git.last_words(error.said)
        return ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _alternates(common_dir: str) -> list[str]:
    """Object directories that the repository borrows from (gitrepository-layout(5))."""
    objects = f"{common_dir}/objects"
    try:
        with open(f"{objects}/info/alternates", encoding="utf-8", errors="surrogateescape") as file:
            return [os.path.join(objects, line) for line in file.read().splitlines() if line]
    except FileNotFoundError:
        return []


def _chunks(source: str | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with open(source, "rb") as file:
            while data := file.read(CHUNK):
                yield data
    except OSError as error:
        raise DobbyError(f"{source} cannot be read: {error.strerror}; nothing was started") from None
