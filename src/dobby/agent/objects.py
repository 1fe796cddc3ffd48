"""A project's object caches: bare repositories that sandboxes borrow from.

Whatever is needed by a live sandbox hangs on a ref of ours, so that `git gc` keeps it:

    refs/dobby/jobs/<label>         the commit of the run accepted last
    refs/dobby/sandboxes/<label>    the commit that the job's sandbox stands on
    refs/dobby/left/<label>/<run>   a commit that the job built commits of its own upon
    refs/dobby/spare                the commit of the project's spare sandbox
    refs/dobby/tags/<id>            an annotated tag that sandboxes know
"""

from __future__ import annotations

import errno
import fcntl
import os

from dobby.agent import durable, pack_index, refs, spawn, trees
from dobby.core.errors import DobbyError
from dobby.core.names import check_name
from dobby.core.request import check_commit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Union

GIT = (
    "git",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor="),  # empty, not "false": before git 2.36 it names a program
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "core.excludesFile=/dev/null"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "checkout.workers=2"),
)
_CACHE_CONFIG = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
_INCOMING = "dobby-incoming-"
_CHUNK = 65536


def git_env(env: Mapping[str, str], **more: str) -> dict[str, str]:
    """`env` for git of our own: nothing of the account's or the system's settings applies.

    HOME goes too: git before 2.32 does not know GIT_CONFIG_GLOBAL, and every git reads
    ~/.config/git/attributes. Replacement refs are a job's own view, not the commit."""
    clean = {k: v for k, v in env.items() if not k.startswith("GIT_")}
    clean.update(
        HOME="/dev/null",
        XDG_CONFIG_HOME="/dev/null",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_ATTR_NOSYSTEM="1",
        GIT_TERMINAL_PROMPT="0",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_DEFAULT_REF_FORMAT="files",
        LC_ALL="C.UTF-8",
    )
    clean.update(more)
    return clean


def ensure_cache(path: str, object_format: str, env: Mapping[str, str]) -> None:
    """Make the bare repository at `path` unless it is there; whole or not at all, whoever
    else makes it at the same time. Raises DobbyError where it has another object format."""
    if not os.path.isdir(path):
        durable.make_dirs(os.path.dirname(path))
        _create(path, object_format, env)
    found = _object_format(path)
    if found != object_format:
        raise DobbyError(
            f"the object cache {path} holds {found} objects, this repository has {object_format} ones",
            "give the project another name, or remove the cache's project from the host",
        )


def _create(path: str, object_format: str, env: Mapping[str, str]) -> None:
    building = f"{path}.new-{os.getpid()}-{os.urandom(4).hex()}"
    argv = [*GIT, "init", "-q", "--bare", "--template=", building]
    code, _, said = spawn.capture(argv, cwd="/", env=git_env(env, GIT_DEFAULT_HASH=object_format))
    try:
        if code:
            raise DobbyError(f"no object cache could be made at {path}: {last_line(said)}")
        if _object_format(building) != object_format:
            raise DobbyError(
                f"git on this host is too old for {object_format} objects", "it needs git 2.29 or later"
            )
        with open(f"{building}/config", "a", encoding="ascii") as config:
            config.write(_CACHE_CONFIG)
        os.chmod(building, 0o700)
        try:
            os.rename(building, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        trees.remove_tree(building)


def _object_format(cache: str) -> str:
    try:
        with open(f"{cache}/config", encoding="utf-8", errors="replace") as config:
            text = config.read().lower()
    except OSError as error:
        raise DobbyError(
            f"the object cache {cache} cannot be read: {error.strerror}", "remove it; it is made anew"
        ) from None
    return "sha256" if "objectformat = sha256" in text else "sha1"


def holds(cache: str, id: str) -> bool:
    """Whether the cache has the object."""
    return pack_index.holds(f"{cache}/objects", check_commit(id))


def tips(cache: str, most: int = 64) -> list[str]:
    """Ids that our refs pin, the last ones first, each once: what a sender may build upon."""
    return refs.newest(cache, ("refs/dobby/jobs", "refs/dobby/sandboxes"), most)


def existing(cache: str, ids: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """Which of these objects the cache holds, in their order."""
    return list(kinds(cache, ids, env))


def kinds(cache: str, ids: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Each of these ids that the cache holds -> "commit", "tag", "tree" or "blob"."""
    asked = "".join(check_commit(id) + "\n" for id in ids)
    if not asked:
        return {}
    words = ("cat-file", "--buffer", "--batch-check=%(objectname) %(objecttype)")
    lines = ask(cache, words, env, asked.encode("ascii")).decode("ascii").splitlines()
    return {id: kind for id, kind in map(str.split, lines) if kind != "missing"}


def ask(cache: str, words: Iterable[str], env: Mapping[str, str], input: bytes = b"") -> bytes:
    """What git says of the cache when it is given `words`. Raises DobbyError."""
    argv = [*GIT, "--git-dir=.", *words]
    code, out, said = spawn.capture(argv, cwd=cache, env=git_env(env), input=input)
    if code:
        raise DobbyError(f"the object cache {cache} gives no answer: {last_line(said)}")
    return out


def last_line(said: bytes) -> str:
    """The reason that git gave last."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "git said nothing"


# --- receiving ---------------------------------------------------------------------------


def receive(cache: str, source: Union[Callable[[int], bytes], int], env: Mapping[str, str]) -> None:
    """Store the (thin) pack that `source` gives: a `read(most_bytes)`, b"" at its end, or a
    descriptor that ends with the pack.

    It is unpacked apart and moved in when whole, so a cut stream leaves nothing, and what a
    killed receiver left is known by its free lock. Raises DobbyError in git's own words."""
    _sweep(cache)
    incoming, lock = _incoming(cache)
    try:
        code, said = _index_pack(cache, incoming, source, env)
        if code:
            raise DobbyError(
                f"the objects sent did not arrive whole in {cache}: {last_line(said)}",
                "the same command sends them again",
            )
        _take_in(f"{incoming}/pack", f"{cache}/objects/pack")
    finally:
        trees.remove_tree(incoming)
        os.close(lock)


def _incoming(cache: str) -> tuple[str, int]:
    """A directory for one pack, and the descriptor whose flock says that it is in use."""
    while True:
        path = f"{cache}/objects/{_INCOMING}{os.urandom(8).hex()}"
        os.mkdir(path, 0o700)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # a sweep took it
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(path):  # else a sweep took it between open and flock
            os.mkdir(f"{path}/pack", 0o700)
            return path, lock
        os.close(lock)


def _sweep(cache: str) -> None:
    """Remove what receivers left that are no more."""
    for name in os.listdir(f"{cache}/objects"):
        if not name.startswith(_INCOMING):
            continue
        path = f"{cache}/objects/{name}"
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            trees.remove_tree(path)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _index_pack(
    cache: str, incoming: str, source: Union[Callable[[int], bytes], int], env: Mapping[str, str]
) -> tuple[int, bytes]:
    """Exit code and stderr of `git index-pack`, which completes a thin pack from the cache."""
    where = git_env(env, GIT_OBJECT_DIRECTORY=incoming, GIT_ALTERNATE_OBJECT_DIRECTORIES=f"{cache}/objects")
    argv = [*GIT, "--git-dir=.", "index-pack", "--stdin", "--fix-thin"]
    said = os.open(f"{incoming}/said", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if isinstance(source, int):
            pid = spawn.spawn(argv, cwd=cache, env=where, stdin=source, stdout=said, stderr=said)
        else:
            out, sink = os.pipe()
            pid = spawn.spawn(argv, cwd=cache, env=where, stdin=out, stdout=said, stderr=said)
            os.close(out)
            _pour(source, sink, pid)
        return spawn.wait(pid), os.pread(said, 4096, max(0, os.fstat(said).st_size - 4096))
    finally:
        os.close(said)


def _pour(read: Callable[[int], bytes], sink: int, pid: int) -> None:
    """Feed everything to the child. When the source fails, the child is ended first."""
    try:
        while data := read(_CHUNK):
            durable.write_all(sink, data)
    except BrokenPipeError:
        return  # the child has given up, and says why
    except BaseException:
        os.close(sink)
        sink = -1
        spawn.wait(pid)
        raise
    finally:
        if sink >= 0:
            os.close(sink)


def _take_in(source: str, pack_dir: str) -> None:
    """Move the pack's files in, the index last: git finds a pack by its index."""
    durable.make_dirs(pack_dir)
    for name in sorted(os.listdir(source), key=lambda name: name.endswith(".idx")):
        os.rename(f"{source}/{name}", f"{pack_dir}/{name}")
    durable.sync_dir(pack_dir)


# --- shallow ones ---------------------------------------------------------------------------


def shallow(cache: str) -> list[str]:
    """Commits that arrived without their history (gitrepository-layout(5), "shallow"): a
    submodule's, from a shallow or partial clone."""
    return (durable.read(f"{cache}/shallow") or b"").decode("ascii").split()


def mark_shallow(cache: str, ids: list[str]) -> None:
    """These come without their history. Said before they are there: a commit whose parents are
    missing unsaid would make every walk fail. Where the history is there too, it is only hidden."""
    if not ids:
        return
    lock = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marked = dict.fromkeys([*shallow(cache), *map(check_commit, ids)])
        durable.replace(f"{cache}/shallow", "".join(f"{id}\n" for id in marked).encode("ascii"))
    finally:
        os.close(lock)


# --- pinning -----------------------------------------------------------------------------


def pin(cache: str, label: str, commit: str) -> None:
    """A run of the job `label` was accepted that needs `commit`. Durable."""
    refs.write(_job_ref(cache, label), check_commit(commit))


def pin_sandbox(cache: str, label: str, commit: str) -> None:
    """The sandbox of `label` stands on `commit`, also while a newer run waits. Durable."""
    refs.write(_sandbox_ref(cache, label), check_commit(commit))


def pin_spare(cache: str, commit: str) -> None:
    """The project's spare sandbox stands on `commit`. Durable."""
    refs.write(f"{cache}/refs/dobby/spare", check_commit(commit))


def pin_left(cache: str, label: str, run_id: str, commit: str) -> None:
    """Commits that the job made in `run_id` build upon `commit`. Durable."""
    refs.write(f"{_left_refs(cache, label)}/{check_name(run_id, 'run id')}", check_commit(commit))


def pin_tags(cache: str, ids: Iterable[str]) -> None:
    """Keep these annotated tags: no commit leads to them. Durable."""
    for id in ids:
        refs.write(f"{cache}/refs/dobby/tags/{check_commit(id)}", id)


def _job_ref(cache: str, label: str) -> str:
    return f"{cache}/refs/dobby/jobs/{check_name(label, 'label')}"


def _sandbox_ref(cache: str, label: str) -> str:
    return f"{cache}/refs/dobby/sandboxes/{check_name(label, 'label')}"


def _left_refs(cache: str, label: str) -> str:
    return f"{cache}/refs/dobby/left/{check_name(label, 'label')}"
