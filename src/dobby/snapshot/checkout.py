"""The checkout that the caller stands in."""

from __future__ import annotations

import os

from dobby.core import urls
from dobby.core.errors import DobbyError, UsageError
from dobby.core.record import Record
from dobby.snapshot import git

_SETTINGS = (
    r"^(remote\..*\.(url|promisor)|url\..*\.insteadof|extensions\.partialclone|core\.attributesfile"
    r"|filter\..*\.(clean|smudge|process)|submodule\..*\.(url|update)|user\.email)$"
)
_QUESTIONS = (
    ("--show-object-format",),
    ("--is-shallow-repository",),
    ("--is-bare-repository",),
    ("--show-toplevel",),
    ("--absolute-git-dir",),
    ("--git-common-dir",),
    ("--show-prefix",),
    ("--git-path", "index"),
    ("--git-path", "objects"),
)


class Checkout(Record):
    """A working tree and its repository. All paths are absolute but `prefix`, the caller's own
    subdirectory relative to `top` ("" at the top). `branch` is "" on a detached head; `origin`
    is origin's URL, insteadOf applied, without user info, "" where there is none.
    `index` is the index in use, `objects` are object directories that the caller's environment
    adds, `config` the settings that a snapshot depends on, in git's order."""

    top: str
    git_dir: str
    common_dir: str
    prefix: str
    object_format: str
    shallow: bool
    partial: bool
    branch: str
    origin: str
    index: str
    objects: tuple[str, ...] = ()
    config: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> git.Place:
        """Where git is to look."""
        return git.Place(git_dir=self.git_dir, top=self.top, objects=self.objects, index=self.index)


def open_checkout(cwd: str) -> Checkout:
    """The checkout around `cwd`. Raises UsageError where there is none."""
    return _open(None, cwd)


def open_module(git_dir: str, top: str) -> Checkout:
    """The checkout of a submodule, whatever the caller's GIT_DIR and the like say."""
    return _open(git.Place(git_dir=git_dir, top=top), top)


def _open(place: git.Place | None, cwd: str) -> Checkout:
    asked = git.start(place, "rev-parse", *(word for q in _QUESTIONS for word in q), cwd=cwd)
    settings = start_config(place, cwd)
    out, said = asked.communicate()
    config = finish_config(settings)
    lines = os.fsdecode(out).split("\n")[:-1]
    if asked.returncode:
        raise _no_checkout(cwd, lines, os.fsdecode(said))
    if len(lines) != len(_QUESTIONS):  # a newline in a path: one question each
        lines = [os.fsdecode(git.run(place, "rev-parse", *q, cwd=cwd))[:-1] for q in _QUESTIONS]
    form, shallow, _, top, git_dir, common, prefix, index, objects = lines
    if form not in ("sha1", "sha256"):
        raise DobbyError("this laptop's git is too old", "install git 2.25 or newer")
    common = os.path.realpath(os.path.join(cwd, common))
    return Checkout(
        top=top,
        git_dir=git_dir,
        common_dir=common,
        prefix=prefix.rstrip("/"),
        object_format=form,
        shallow=shallow == "true",
        partial=is_partial(config),
        branch=_branch(git_dir),
        origin=origin_of(config),
        index=os.path.abspath(os.path.join(cwd, index)),
        objects=() if place else _added_objects(common, os.path.realpath(os.path.join(cwd, objects))),
        config=config,
    )


def _no_checkout(cwd: str, lines: list[str], said: str) -> UsageError:
    hint = "change to a checkout, or give --repo URL"
    if lines[2:3] == ["true"]:
        return UsageError(f"{cwd} is a bare repository, which has no working tree", hint)
    if "not a git repository" in said or "must be run in a work tree" in said:
        return UsageError(f"{cwd} is not inside a git checkout", hint)
    return UsageError(f"{cwd} cannot be used as a git checkout: {git.last_words(said)}")


def _branch(git_dir: str) -> str:
    """The current branch, from the HEAD file where that says it: a process less."""
    head = f"{git_dir}/HEAD"
    if os.path.islink(head):
        target = os.readlink(head)
    else:
        with open(head, encoding="utf-8", errors="surrogateescape") as file:
            target = file.read().rstrip("\n").removeprefix("ref:").strip()
    if target == "refs/heads/.invalid":  # reftable keeps the real one elsewhere
        place = git.Place(git_dir=git_dir)
        target = os.fsdecode(git.run(place, "symbolic-ref", "-q", "HEAD", ok=(0, 1))).strip()
    return target.removeprefix("refs/heads/") if target.startswith("refs/heads/") else ""


def _added_objects(common_dir: str, objects: str) -> tuple[str, ...]:
    """Object directories that only the caller's environment knows (a hook's quarantine)."""
    added = () if objects == os.path.realpath(f"{common_dir}/objects") else (objects,)
    more = os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")
    return added + tuple(os.path.abspath(path) for path in more.split(":") if path)


def start_config(place: git.Place | None, cwd: str = "") -> git.Process:
    """git, asked for the settings that a snapshot depends on."""
    return git.start(place, "config", "-z", "--get-regexp", _SETTINGS, cwd=cwd)


def finish_config(process: git.Process) -> tuple[tuple[str, str], ...]:
    """(key, value) in git's order; a key without '=' has the value "true"."""
    out = os.fsdecode(git.finish(process, ok=(0, 1)))
    pairs = (entry.partition("\n") for entry in out.split("\0")[:-1])
    return tuple((key, value if sep else "true") for key, sep, value in pairs)


def email_of(config: tuple[tuple[str, str], ...]) -> str:
    """git's user.email, "" where there is none."""
    return next((value for key, value in reversed(config) if key == "user.email"), "")


def email_anywhere() -> str:
    """The account's user.email, outside any checkout; "" where there is none, or no git."""
    try:
        return os.fsdecode(git.run(None, "config", "--get", "user.email", cwd="/", ok=(0, 1))).strip()
    except DobbyError:
        return ""


def is_partial(config: tuple[tuple[str, str], ...]) -> bool:
    """Whether objects may be missing because a remote has promised them."""
    return any(k == "extensions.partialclone" or k.endswith(".promisor") for k, _ in config)


def origin_of(config: tuple[tuple[str, str], ...]) -> str:
    """origin's URL as fetched from, without user info; "" where there is none."""
    found = own_url(config)
    return urls.without_user_info(urls.instead_of(found, rules_of(config))) if found else ""


def own_url(config: tuple[tuple[str, str], ...]) -> str:
    """origin's URL as written; "" where there is none."""
    return next((value for key, value in config if key == "remote.origin.url"), "")


def rules_of(config: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """(base, prefix) of each url.<base>.insteadOf."""
    return [(k[4:-10], v) for k, v in config if k.startswith("url.") and k.endswith(".insteadof")]
