"""Objects of the laptop's repository: reading them, packing them, asking for them."""

from __future__ import annotations

from dobby.core.errors import DobbyError
from dobby.core.record import Record
from dobby.snapshot import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from types import TracebackType


class Object(Record):
    """One object: its full id, its type ("commit", "tree", "blob", "tag") and its bytes."""

    id: str
    type: str
    data: bytes


class Reader:
    """One `git cat-file --batch`, asked as often as needed. Use it in a `with`."""

    def __init__(self, place: git.Place) -> None:
        self.place = place
        self._process = git.start(place, "cat-file", "--batch", "--follow-symlinks", feed=True)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()

    def get(self, name: str) -> Object | None:
        """The object of this name (any revision syntax; "commit:path" for a file, where a symlink
        within the tree is followed: one that leads elsewhere has its own type, see git-cat-file(1));
        None where it is missing or the name is ambiguous. `name` holds no newline."""
        process = self._process
        assert process.stdin is not None  # noqa: S101 - for mypy
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            git.finish(process)
        header = process.stdout.readline()
        if header.endswith((b" missing\n", b" ambiguous\n")):
            return None
        words = header.decode("utf-8", "surrogateescape").split()
        if not words or not words[-1].isdigit():
            git.finish(process)
            raise DobbyError(f"git cat-file gave an answer not understood: {header!r}")
        data = process.stdout.read(int(words[-1]))
        process.stdout.read(1)
        if len(words) == 2:  # dangling, loop …
            return Object(id="", type=words[0], data=data)
        return Object(id=words[0], type=words[1], data=data)

    def files(self, tree: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The contents of those of `paths` that are files in `tree` (any name of one); a symlink
        within the tree is followed."""
        got = {}
        for path in paths:
            if "\n" in path:
                raise DobbyError(f"{path!r} holds a newline: git cat-file cannot be asked for it")
            found = self.get(f"{tree}:{path}")
            if found is not None and found.type == "blob":
                got[path] = found.data
        return got


def known(git_dir: str, objects: Iterable[str], ids: list[str]) -> set[str]:
    """Which of these full object ids the repository has, without fetching any."""
    if not ids:
        return set()
    process = git.start(
        git.Place(git_dir=git_dir, objects=tuple(objects)),
        "cat-file",
        "--batch-check=%(objectname)",
        feed=True,
        env=git.NO_FETCHING,
    )
    out, _ = process.communicate("\n".join([*ids, ""]).encode())
    # git before 2.45 ends at the first promised object: what is unanswered counts as absent.
    return set(out.decode().split("\n")) & set(ids)


def pack(
    git_dir: str, objects: Iterable[str], want: list[str], have: list[str], shallow: Iterable[str] = ()
) -> subprocess.Popen[bytes]:
    """`git pack-objects`, started: its stdout is a thin pack of all that `want` (commits, tags)
    reaches and `have` does not, where nothing is reached through a commit of `shallow`. Every id
    of `have` must be known here (`known`). The caller reads stdout, then waits; stderr is a pipe
    with git's reason for a failure."""
    process = git.start(
        git.Place(git_dir=git_dir, objects=tuple(objects)),
        *("pack-objects", "--thin", "--stdout", "--revs", "--delta-base-offset", "-q"),
        feed=True,
    )
    assert process.stdin is not None  # noqa: S101 - for mypy
    try:
        cuts = [f"--shallow {id}" for id in shallow]  # as git upload-pack says it
        process.stdin.write("\n".join([*cuts, *want, *(f"^{id}" for id in have), ""]).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has ended already: its exit code and stderr say why
    process.stdin = None  # so that `communicate` does not flush what is closed
    return process
