"""HEAD and the refs of a sandbox.

A run finds its own branch and the laptop's tags, as in a fresh clone. What an earlier run made
is lost to nobody, but stands aside:

    refs/dobby/left/<run id>                 HEAD, where the job has moved it
    refs/dobby/left-refs/<run id>/heads/…    branches, tags, stash … that the job made

refs/remotes/ stays. Everything is read and written as files (gitrepository-layout(5)).
"""

from __future__ import annotations

import os

from dobby.agent import gitdir, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Optional

    from dobby.agent.gitdir import Note, Wanted

# git-check-ref-format(1): what no ref's name may hold
_FORBIDDEN = bytes([*range(0x21), 0x7F]) + b"~^:?*[\\"
_NOWHERE = (b"..", b"@{", b"//", b"/.", b".lock/")
_STAYS = (b"refs/remotes/", b"refs/dobby/")


# No regular expressions: every run comes by here, and `re` takes as long to import as Python to start.


def _is_id(text: bytes) -> bool:
    return len(text) in (40, 64) and not text.strip(b"0123456789abcdef")


def _is_bad(name: bytes) -> bool:
    return (
        len(name.translate(None, _FORBIDDEN)) < len(name)
        or any(part in name for part in _NOWHERE)
        or name.startswith((b".", b"/", b"-"))
        or name.endswith((b".", b"/", b".lock"))
        or name == b"@"
    )


def _packed(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and id of each ref in packed-refs."""
    for line in data.split(b"\n"):
        id, _, name = line.partition(b" ")
        if _is_id(id) and name.startswith(b"refs/") and name != b"refs/":
            yield name, id


def check_ref(text: str) -> bytes:
    """A branch's or tag's name as bytes. Raises ValueError for what git would not allow."""
    name = text.encode("utf-8", "surrogateescape")
    if not name or _is_bad(name):
        raise ValueError(f"{text!r} is no name of a branch or tag")
    return name


class Refs:
    """What stands in a git directory: name -> id, packed and loose, and how many `files` that is;
    `odd` when it also holds what no git has finished (locks) or made (symlinks)."""

    def __init__(self, git_dir: bytes) -> None:
        self.packed = dict(_packed(gitdir.read(git_dir + b"/packed-refs")))
        self.loose: dict[bytes, bytes] = {}
        self.odd = False
        self.files = 0
        for name, id in self._walk(git_dir, b"refs"):
            self.loose[name] = id
        self.head = gitdir.read(git_dir + b"/HEAD").strip()

    def _walk(self, git_dir: bytes, rel: bytes) -> Iterator[tuple[bytes, bytes]]:
        for entry in trees.entries(git_dir + b"/" + rel):
            name = rel + b"/" + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(git_dir, name)
                continue
            self.files += 1
            id = gitdir.read(entry.path).strip() if entry.is_file(follow_symlinks=False) else b""
            if _is_id(id) and not _is_bad(name):
                yield name, id
            elif not id.startswith(b"ref: "):
                self.odd = True

    def has_only(self, name: bytes) -> bool:
        """Whether that is the only loose one, whatever it holds."""
        return self.files == 1 and name in self.loose

    def all(self) -> dict[bytes, bytes]:
        packed = {name: id for name, id in self.packed.items() if not _is_bad(name)}
        return {**packed, **self.loose}

    def head_commit(self) -> Optional[str]:
        """The commit that HEAD means, None where it means none."""
        head = self.head
        if head.startswith(b"ref: "):
            head = self.all().get(head[5:], b"")
        return head.decode("ascii") if _is_id(head) else None

    def stand(self, git_dir: bytes, wanted: Wanted, note: Note) -> bool:
        """Whether HEAD, branch and tags are as wanted, and nothing else was made since."""
        own = {b"refs/heads/" + check_ref(wanted.branch): _id(wanted)} if wanted.branch else {}
        return (
            self.head == gitdir.head_of(wanted).strip()
            and {n: i for n, i in self.loose.items() if not n.startswith(_STAYS)} == own
            and not self.odd
            and note.packed == gitdir.stamp_of(git_dir + b"/packed-refs")
            and note.tags == gitdir.digest_of(wanted.tags)
        )


def _id(wanted: Wanted) -> bytes:
    return wanted.commit.encode("ascii")


def arrange(
    git_dir: bytes,
    wanted: Wanted,
    tags: Iterable[tuple[str, str]],
    left_by: str = "",
    found: Optional[Refs] = None,
    note: Optional[Note] = None,
) -> bool:
    """Put HEAD, the branch and `tags` in place, and what the run `left_by` made aside; True
    where there was any. Raises ValueError, before anything is written, for a name that git
    would not allow."""
    new = {b"refs/tags/" + check_ref(name): id.encode("ascii") for name, id in tags}
    branch = check_ref(wanted.branch) if wanted.branch else b""
    aside: dict[bytes, bytes] = {}
    remain: dict[bytes, bytes] = {}
    if found is not None and note is not None:
        remain = {n: i for n, i in found.all().items() if n.startswith(_STAYS)}
        aside = _made_by_job(
            git_dir, found, note, {**new, b"refs/heads/" + branch: _id(wanted), b"HEAD": _id(wanted)}
        )
    run = left_by.encode("ascii")
    for name, id in aside.items():
        remain[b"refs/dobby/left" + (b"/" + run if name == b"HEAD" else b"-refs/" + run + name[4:])] = id
    new.update(remain)
    lines = [b"# pack-refs with: sorted \n", *(b"%b %b\n" % (new[n], n) for n in sorted(new))]
    # first what keeps commits, then what lets them go
    _ensure(git_dir + b"/packed-refs", b"".join(lines))
    if branch and found is not None and found.has_only(b"refs/heads/" + branch):
        gitdir.write(git_dir + b"/refs/heads/" + branch, _id(wanted) + b"\n")
    else:
        _write_loose(git_dir, branch, _id(wanted))
    _ensure(git_dir + b"/HEAD", gitdir.head_of(wanted))
    return bool(aside)


def _ensure(path: bytes, data: bytes) -> None:
    if gitdir.read(path) != data:
        gitdir.write(path, data)


def _write_loose(git_dir: bytes, branch: bytes, id: bytes) -> None:
    """The branch as the only loose ref: no name of an earlier one can stand in its way."""
    for entry in trees.entries(git_dir + b"/refs"):
        trees.remove_tree(os.fsdecode(entry.path))
    for name in (b"heads", b"tags"):
        os.mkdir(git_dir + b"/refs/" + name)
    if branch:
        path = trees.make_dirs(git_dir + b"/refs/heads", os.path.dirname(branch))
        gitdir.write(path + b"/" + os.path.basename(branch), id + b"\n")


def _made_by_job(git_dir: bytes, found: Refs, note: Note, wanted: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Refs that are neither as we left them nor as they are to be, and b"HEAD" where a commit
    was made upon it."""
    ours = {b"refs/heads/" + note.branch.encode("utf-8", "surrogateescape"): note.commit.encode("ascii")}
    if note.packed == gitdir.stamp_of(git_dir + b"/packed-refs"):
        ours.update({n: i for n, i in found.packed.items() if n.startswith(b"refs/tags/")})
    made = {
        name: id
        for name, id in found.all().items()
        if not name.startswith(_STAYS) and id not in (ours.get(name), wanted.get(name))
    }
    head = (found.head_commit() or note.commit).encode("ascii")
    if head not in (note.commit.encode("ascii"), wanted.get(b"HEAD")):
        made[b"HEAD"] = head
    return {name: id for name, id in made.items() if name not in ours or id != made.get(b"HEAD")}
