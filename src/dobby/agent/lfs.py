"""Files under Git LFS in a sandbox: git writes their pointers, we their contents.

Neither git-lfs nor a filter takes part. git checks out pointers; each is replaced by a copy of its
content, and the index is told the new file's size and times, by which git knows it as unchanged,
here and where the job itself asks. Wherever a pointer stands, it is filled: so whatever a run was
cut in, or its job did, the next one finds contents.
"""

from __future__ import annotations

import os

from dobby.agent import durable, gitdir, objects, spawn, trees
from dobby.core import index_file, json
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError
from dobby.core.pointer import FILTER, MOST_BYTES, parse_pointer
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Optional

    from dobby.agent.blobs import Store

_CHUNK = 1 << 20
# An entry as young as its index is compared by content (git's "racy" ones), which without a filter
# is the pointer's: files are dated back by so much.
_OLDER_S = 2.0


class File(Record):
    """One file of a commit: `path` from the repository's top, the `pointer` as git stores it, and
    the content's `sha256` and `size`."""

    path: bytes
    sha256: str
    size: int
    pointer: bytes


# --- which files -----------------------------------------------------------------------------


def ensure_list(store: Store, cache: str, commit: str, env: Mapping[str, str]) -> list[File]:
    """The files under Git LFS of a commit in the cache, listed once. Raises DobbyError."""
    path = store.lfs_list(commit)
    if not os.path.exists(path):
        found = _list(cache, commit, env)
        rows = [[_text(f.path), f.sha256, f.size, _text(f.pointer)] for f in found]
        durable.make_dirs(os.path.dirname(path))
        durable.replace(path, durable.dump_json(rows))
    return read_list(store, commit)


def read_list(store: Store, commit: str) -> list[File]:
    """As it was listed; nothing where it was not."""
    text = durable.read(store.lfs_list(commit))
    return [
        File(path=_bytes(path), sha256=id, size=size, pointer=_bytes(pointer))
        for path, id, size, pointer in (json.loads(text) if text else ())
    ]


def lead_git_lfs(cache: str, store: Store) -> None:
    """Where git-lfs is installed, it looks beside the objects that a sandbox borrows, and puts there
    what it fetches."""
    if not os.path.lexists(f"{cache}/lfs"):
        os.symlink(os.path.relpath(store.root, cache), f"{cache}/lfs")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _list(cache: str, commit: str, env: Mapping[str, str]) -> list[File]:
    """Regular files with the attribute filter=lfs that are pointers, by .gitattributes alone."""
    small = {}
    for entry in _ask(cache, env, "ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        front, _, path = entry.partition(b"\t")
        mode, _, id, size = front.split()
        if mode.startswith(b"100") and 0 < int(size) <= MOST_BYTES:
            small[path] = id
    index = f"{cache}/dobby-index-{os.urandom(8).hex()}"
    own = {**env, "GIT_INDEX_FILE": index}
    try:
        _ask(cache, own, "read-tree", commit)
        fed = b"\0".join([*small, b""])
        told = _ask(cache, own, "check-attr", "-z", "--stdin", "--cached", "filter", input=fed).split(b"\0")
    finally:
        trees.remove_tree(index)
    paths = [path for path, value in zip(told[0::3], told[2::3]) if value == FILTER.encode()]
    texts = _contents(cache, env, [small[path] for path in paths])
    found = []
    for path, text in zip(paths, texts):
        pointer = parse_pointer(text)
        if pointer is not None:
            found.append(File(path=path, sha256=pointer.sha256, size=pointer.size, pointer=text))
    return found


def _contents(cache: str, env: Mapping[str, str], ids: list[bytes]) -> list[bytes]:
    if not ids:
        return []
    out = _ask(cache, env, "cat-file", "--batch", "--buffer", input=b"\n".join([*ids, b""]))
    texts, at = [], 0
    for _ in ids:
        end = out.index(b"\n", at)
        size = int(out[at:end].rpartition(b" ")[2])
        texts.append(out[end + 1 : end + 1 + size])
        at = end + 2 + size
    return texts


def _ask(cache: str, env: Mapping[str, str], *words: str, input: bytes = b"") -> bytes:
    argv = [*objects.GIT, "--git-dir=.", *words]
    keep = {key: env[key] for key in ("GIT_INDEX_FILE",) if key in env}
    code, out, said = spawn.capture(argv, cwd=cache, env=objects.git_env(env, **keep), input=input)
    if code:
        reason = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DobbyError(f"{cache}: the files under Git LFS cannot be listed: {reason}")
    return out


# --- in a sandbox ----------------------------------------------------------------------------


class Contents:
    """The contents of one repository of the sandbox `top`: its files lie at `rel`."""

    def __init__(self, store: Store, top: bytes, rel: bytes, git_dir: bytes, object_format: str) -> None:
        self._store = store
        self._top, self._rel, self._git_dir = top, rel, git_dir
        self._format = object_format

    def unchanged(self, commit: str, rels: Iterable[bytes]) -> set[bytes]:
        """Those of `rels`, which git takes for changed, that hold their content all the same: a job
        has only touched them. The index learns their times."""
        rels = set(rels)
        mine = [file for file in read_list(self._store, commit) if file.path in rels] if rels else []
        stats = {}
        for file in mine:
            path, found = self._look(file)
            if found is not None and found.st_size == file.size and _hash(path) == file.sha256:
                stats[file.path] = _dated_back(path)
        self._tell_index(stats)
        return set(stats)

    def fill(self, commit: str) -> Optional[int]:
        """Put contents where pointers stand; how many. None where the index cannot be told: it is
        to be made anew first. Raises OSError, DobbyError."""
        stats = {}
        for file in read_list(self._store, commit):
            path, found = self._look(file)
            if found is None or found.st_size != len(file.pointer) or gitdir.read(path) != file.pointer:
                continue
            if not self._store.has(file.sha256, file.size):
                raise DobbyError(
                    f"the content of {os.fsdecode(file.path)} is not on this host any more",
                    "run it from a checkout again: that sends it",
                )
            temp = self._git_dir + b"/lfs-content.dobby-new"
            trees.remove_tree(os.fsdecode(temp))
            self._store.copy(file.sha256, temp, found.st_mode & 0o777)
            os.rename(temp, path)
            stats[file.path] = _dated_back(path)
        return len(stats) if self._tell_index(stats) else None

    def _look(self, file: File) -> tuple[bytes, Optional[os.stat_result]]:
        rel = trees.join(self._rel, file.path)
        path, found = self._top + b"/" + rel, trees.look(self._top, rel)
        return path, found if found is not None and trees.is_file(path) else None

    def _tell_index(self, stats: Mapping[bytes, os.stat_result]) -> bool:
        if not stats:
            return True
        path = self._git_dir + b"/index"
        new = index_file.with_stats(gitdir.read(path), stats, self._format)
        if new is None:
            return False
        gitdir.write(path, new)
        return True


def _dated_back(path: bytes) -> os.stat_result:
    found = os.lstat(path)
    at = found.st_mtime_ns - int(_OLDER_S * 1e9)
    os.utime(path, ns=(found.st_atime_ns, at))
    return os.lstat(path)


def _hash(path: bytes) -> str:
    got = sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while chunk := os.read(fd, _CHUNK):
            got.update(chunk)
    finally:
        os.close(fd)
    return got.hexdigest()
