"""A sandbox's git directory, written by hand: HEAD, config, refs, alternates.

git itself would need six processes for it. And since a job may have written anything into
the one that it was given, all that could make git run a program, look elsewhere or see other
contents is put right here, before git is started.

The file `dobby` in it says what we have put there (`Note`): absent, when the checkout was
not finished.
"""

from __future__ import annotations

import os
import stat

from dobby.agent import durable, trees
from dobby.core.digest import sha256
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.agent.left import Left

NOTE = b"dobby"
# What else stands there is a job's (hooks, info/attributes, a rebase under way, a commondir
# that makes git read its config elsewhere …) and moves to left/.
_OURS = (b"HEAD", b"config", b"index", b"packed-refs", b"refs", b"objects", b"modules", b"shallow", NOTE)
_JOBS_MAY_STAY = (b"lfs", b"description", b"branches")
_LITTER = (b".lock", b".dobby-new")
_DIRS = (b"objects", b"objects/info", b"objects/pack", b"refs")
_FILES = (b"HEAD", b"config", b"index", b"packed-refs", b"objects/info/alternates", b"shallow", NOTE)
# Settings under which git would have written or compared files otherwise than we do.
_TELLING = (b"crlf", b"eol", b"attributesfile", b"filemode", b"symlinks", b"stat", b"ctime", b"include")


class Broken(Exception):
    """This checkout cannot be put right; it has to be made anew. The text says why."""


class Wanted(Record):
    """How a checkout is to stand. `branch` "" is a detached head; `tags` [name, id] pairs,
    some of which may not be there; `objects` the directory that objects are borrowed from;
    `shallow` those of its commits that came without their history;
    `worktree` the relative path from the git directory to a submodule's files (b"" for the
    sandbox's own); `modules` [name, url] pairs of the submodules directly inside."""

    commit: str
    branch: str
    objects: str
    object_format: str
    origin: str
    tags: tuple[tuple[str, str], ...] = ()
    shallow: tuple[str, ...] = ()
    worktree: bytes = b""
    modules: tuple[tuple[str, str], ...] = ()


class Note(Record):
    """What we left there: the commit and branch, and which packed-refs is ours."""

    commit: str
    branch: str
    packed: str
    tags: str


# --- what is written -----------------------------------------------------------------------


def config_of(wanted: Wanted) -> bytes:
    """The whole config file (git-config(1), "Syntax")."""
    sha1 = wanted.object_format == "sha1"
    lines = [
        "[core]",
        f"\trepositoryformatversion = {0 if sha1 else 1}",
        "\tfilemode = true",
        "\tbare = false",
        "\tlogallrefupdates = true",
    ]
    if wanted.worktree:
        lines.append(f"\tworktree = {_quoted(_text(wanted.worktree))}")
    if not sha1:
        lines += ["[extensions]", f"\tobjectformat = {wanted.object_format}"]
    # a gc in the background would hold the label after its job has ended
    lines += ["[gc]", "\tauto = 0", "[maintenance]", "\tauto = false"]
    if wanted.origin:
        lines += ['[remote "origin"]', f"\turl = {_quoted(wanted.origin)}"]
        lines += ["\tfetch = +refs/heads/*:refs/remotes/origin/*"]
    for name, url in wanted.modules:
        lines += [f"[submodule {_quoted(name)}]", "\tactive = true", f"\turl = {_quoted(url)}"]
    return _bytes("\n".join(lines) + "\n")


def _quoted(value: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\0", "")):
        value = value.replace(plain, escaped)
    return f'"{value}"'


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def alternates_of(wanted: Wanted) -> bytes:
    return _bytes(wanted.objects) + b"\n"


def head_of(wanted: Wanted) -> bytes:
    return _bytes(f"ref: refs/heads/{wanted.branch}\n" if wanted.branch else f"{wanted.commit}\n")


def write(path: bytes, data: bytes) -> None:
    """Replace the file, and never what a symlink there points to."""
    new = path + b".dobby-new"
    if trees.lstat(new) is not None:
        os.unlink(new)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        durable.write_all(fd, data)
    finally:
        os.close(fd)
    os.rename(new, path)


def read(path: bytes) -> bytes:
    """A file's bytes, b"" where there is none."""
    return durable.read(os.fsdecode(path)) or b""


def make(git_dir: bytes, wanted: Wanted) -> None:
    """A new git directory, without HEAD and refs (see `sandbox_refs.arrange`)."""
    os.mkdir(git_dir, 0o755)
    for name in _DIRS:
        os.mkdir(git_dir + b"/" + name)
    write(git_dir + b"/config", config_of(wanted))
    write(git_dir + b"/objects/info/alternates", alternates_of(wanted))
    _cut(git_dir, wanted)


def _shallow_of(wanted: Wanted) -> bytes:
    return _bytes("".join(f"{id}\n" for id in wanted.shallow))


def _cut(git_dir: bytes, wanted: Wanted) -> None:
    """Its `shallow` file is the cache's: alternates do not bring that along."""
    path, text = git_dir + b"/shallow", _shallow_of(wanted)
    if read(path) == text:
        return
    if text:
        write(path, text)
    else:
        os.unlink(path)


# --- putting right what a job may have changed -------------------------------------------


def restore(git_dir: bytes, rel: bytes, wanted: Wanted, left: Left) -> bool:
    """Make it safe to start git there. `rel` is where it lies in the sandbox.

    True when files may have been written under other settings than ours, so that their
    times in the index prove nothing. Raises Broken."""
    _check_kinds(git_dir)
    suspect = False
    for name in _strangers(git_dir):
        if name.endswith(_LITTER):
            trees.remove_tree(os.fsdecode(git_dir + b"/" + name))  # the label is ours: no holder lives
            continue
        attributes = git_dir + b"/info/attributes"
        suspect = suspect or name in (b"config.worktree", b"commondir")
        suspect = suspect or (name == b"info" and trees.lstat(attributes) is not None)
        left.take(rel + b"/" + name, quiet=True)
    config = read(git_dir + b"/config")
    if config != config_of(wanted):
        suspect = suspect or any(word in config.lower() for word in _TELLING)
        write(git_dir + b"/config", config_of(wanted))
    if read(git_dir + b"/objects/info/alternates") != alternates_of(wanted):
        write(git_dir + b"/objects/info/alternates", alternates_of(wanted))
    _cut(git_dir, wanted)
    return suspect


def is_as_left(git_dir: bytes, wanted: Wanted) -> bool:
    """Whether `restore` would find nothing to put right."""
    try:
        _check_kinds(git_dir)
    except Broken:
        return False
    return (
        not _strangers(git_dir)
        and read(git_dir + b"/config") == config_of(wanted)
        and read(git_dir + b"/objects/info/alternates") == alternates_of(wanted)
        and read(git_dir + b"/shallow") == _shallow_of(wanted)
    )


def _strangers(git_dir: bytes) -> list[bytes]:
    """The names in it that are a job's."""
    return [
        name
        for name in os.listdir(git_dir)
        if name.endswith(_LITTER)
        or (name not in _OURS and name not in _JOBS_MAY_STAY and not name.startswith(b"sharedindex."))
    ]


def _check_kinds(git_dir: bytes) -> None:
    """Every file and directory that git or we shall write to is one of its own."""
    if not trees.is_dir(git_dir):
        raise Broken("its .git is gone")
    for name in _DIRS:
        if not trees.is_dir(git_dir + b"/" + name):
            raise Broken(f"its .git/{_text(name)} is no directory")
    if trees.lstat(git_dir + b"/modules") is not None and not trees.is_dir(git_dir + b"/modules"):
        raise Broken("its .git/modules is no directory")
    for name in _FILES:
        found = trees.lstat(git_dir + b"/" + name)
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise Broken(f"its .git/{_text(name)} is no file")


# --- the note ----------------------------------------------------------------------------


def read_note(git_dir: bytes) -> Note:
    """Raises Broken: a checkout without a note was never finished. A FIFO in its place, which would keep us
    waiting, is not opened."""
    _check_kinds(git_dir)
    lines = _text(read(git_dir + b"/" + NOTE)).split("\n")
    if len(lines) != 5:
        raise Broken("it was never finished")
    return Note(commit=lines[0], branch=lines[1], packed=lines[2], tags=lines[3])


def finished_ns(git_dir: bytes) -> int:
    """When a checkout was finished, in its filesystem's time. Raises OSError."""
    return os.lstat(git_dir + b"/" + NOTE).st_mtime_ns


def write_note(git_dir: bytes, wanted: Wanted, tags_complete: bool) -> None:
    """Say that the checkout is finished. Without all of its tags, they are looked for again."""
    stamp = stamp_of(git_dir + b"/packed-refs")
    tags = digest_of(wanted.tags) if tags_complete else ""
    text = _bytes(f"{wanted.commit}\n{wanted.branch}\n{stamp}\n{tags}\n")
    if read(git_dir + b"/" + NOTE) != text:
        write(git_dir + b"/" + NOTE, text)


def stamp_of(path: bytes) -> str:
    """Tells whether a file is the one that we wrote."""
    found = trees.lstat(path)
    return "" if found is None else f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def digest_of(tags: Iterable[tuple[str, str]]) -> str:
    text = "".join(f"{id} {name}\n" for name, id in tags)
    return sha256(_bytes(text)).hexdigest()
