"""git's own part in a sandbox: what differs, and writing a commit's files."""

from __future__ import annotations

import os

from dobby.agent import gitdir, objects, spawn, trees
from dobby.agent.gitdir import Broken
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Optional

    from dobby.agent.steps import Steps

    Answers = list[tuple[int, bytes]]  # exit code and stdout of each command
    Asked = list[tuple[int, int]]  # of each that runs: its pid, a descriptor that gives its stdout

_STATUS = ("status", "--porcelain", "-z", "-uno", "--no-renames", "--ignore-submodules=dirty")
_FILES = ("ls-files", "-z", "-v", "-c", "-o", "--directory")
_TRACKED = ("ls-files", "-z", "-v", "-c")
_BETWEEN = ("diff-tree", "-r", "-z", "--no-renames")
_MOST_BY_NAME = 200  # git compares each with every name of the index
_GITLINK_MODE = b"\0\0\xe0\0"  # 160000, as an index holds it (gitformat-index(5))


class Seen(Record):
    """Every difference between files, index and HEAD: paths that are `tracked`, and
    `untracked` ones (a directory stands for all below it, ignored and empty ones included).
    `attributes`: .gitattributes differ between HEAD and the commit wanted. `ahead` are the files that
    do, where these are few, and none is gone or a submodule; else None. `whole`: git had nothing to
    complain of; else it may have left out what stands behind something of a job's."""

    tracked: tuple[bytes, ...]
    untracked: tuple[bytes, ...]
    attributes: bool
    ahead: Optional[tuple[bytes, ...]]
    whole: bool


class Worktree:
    """The files at `files` whose git directory is `git_dir` (both absolute). `told` is what git was asked a
    moment ago: the first look goes by it."""

    def __init__(self, files: bytes, git_dir: bytes, steps: Steps, told: Optional[Answers] = None) -> None:
        self.files = files
        self.git_dir = git_dir
        self._told = told
        self._steps = steps
        self._env = objects.git_env(steps.env)

    def _argv(self, *words: str) -> list[str]:
        # never left to discovery: where .git is damaged, that finds a repository further up
        return [*objects.GIT, f"--git-dir={os.fsdecode(self.git_dir)}", "--work-tree=.", *words]

    # --- asking ---

    def look(self, head: str, wanted: str) -> Seen:
        """What differs from `head`. An index that hides differences, or cannot be read, is
        made anew first; so are directories closed to us. Raises Broken."""
        seen, said = self._look(head, wanted)
        if said:
            trees.open_up(self.files)
        if said or seen is None:
            if seen is None:
                self.forget_times(head)
            seen, _ = self._look(head, wanted)
        if seen is None:
            raise Broken("git cannot read it")
        return seen

    def begin_to_ask(self) -> Asked:
        """What git says of the files, whatever commit is wanted. It may keep in the index what it has
        found out, and have that locked meanwhile."""
        return self._begin([_STATUS, _FILES])

    def begin_to_ask_unused(self) -> Asked:
        """The same of a sandbox that no job has had, of which nothing is written. The search for what is
        not tracked takes longer than all else: `is_untouched` tells without it."""
        self._env["GIT_OPTIONAL_LOCKS"] = "0"
        return self._begin([_STATUS, _TRACKED])

    def _look(self, head: str, wanted: str) -> tuple[Seen | None, bool]:
        """None where the answer cannot be relied on; and whether git has complained."""
        told, self._told = self._told, None
        asked: list[tuple[str, ...]] = [] if told else [_STATUS, _FILES]
        if head != wanted:
            asked.append((*_BETWEEN, head, wanted))
        start = os.lseek(self._steps.log_fd, 0, os.SEEK_END)
        answers = [*(told or ()), *self._at_once(asked)]
        said = os.lseek(self._steps.log_fd, 0, os.SEEK_END) > start
        (status_code, status), (files_code, files) = answers[:2]
        if status_code or files_code or _hides(files):
            return None, said
        code, between = answers[2] if len(answers) > 2 else (0, b"")
        tracked = tuple(entry[3:] for entry in status.split(b"\0") if entry)
        seen = Seen(
            tracked=tracked,
            untracked=_untracked(files),
            attributes=bool(code) or b"/.gitattributes\0" in between.replace(b"\0", b"\0/"),
            ahead=None if code else _ahead(between),
            whole=not said,
        )
        return seen, said

    def _at_once(self, asked: list[tuple[str, ...]]) -> Answers:
        """Exit code and stdout of several git commands that run side by side."""
        answers = []
        for pid, out in self._begin(asked):
            with os.fdopen(out, "rb") as stream:
                data = stream.read()
            answers.append((spawn.wait(pid), data))
        return answers

    def _begin(self, asked: list[tuple[str, ...]]) -> Asked:
        started = []
        for words in asked:
            out, sink = os.pipe()
            pid = spawn.spawn(
                self._argv(*words),
                cwd=os.fsdecode(self.files),
                env=self._env,
                stdout=sink,
                stderr=self._steps.log_fd,
            )
            os.close(sink)
            started.append((pid, out))
        return started

    def gitlinks(self) -> frozenset[bytes]:
        """Paths of submodules in the index. Without any, no process is asked."""
        if _GITLINK_MODE not in gitdir.read(self.git_dir + b"/index"):
            return frozenset()
        out = self._steps.capture(self._argv("ls-files", "-z", "-s"), os.fsdecode(self.files), self._env)
        entries = (entry.partition(b"\t") for entry in out.split(b"\0"))
        return frozenset(path for what, _, path in entries if what.startswith(b"160000 "))

    def recorded(self, commit: str, links: Iterable[bytes]) -> dict[bytes, str]:
        """path -> id of those of `links` that are gitlinks of the commit."""
        argv = [*self._argv("ls-tree", "-z", commit, "--"), *map(os.fsdecode, links)]
        out = self._steps.capture(argv, os.fsdecode(self.files), self._env)
        entries = (entry.partition(b"\t") for entry in out.split(b"\0"))
        return {path: what[14:].decode() for what, _, path in entries if what.startswith(b"160000 commit ")}

    def names(self, commit: str) -> frozenset[bytes]:
        """Every path that the commit tracks, files and submodules."""
        argv = self._argv("ls-tree", "-r", "-z", "--name-only", commit)
        out = self._steps.capture(argv, os.fsdecode(self.files), self._env)
        return frozenset(name for name in out.split(b"\0") if name)

    # --- writing ---

    def forget_times(self, head: str) -> None:
        """An index of `head` that believes no file's time: all are compared. Raises Broken."""
        self._told = None
        self._drop_index()
        (answer,) = self._at_once([("read-tree", head)])
        if answer[0]:
            raise Broken("its commit cannot be read")

    def move(self, head: str, commit: str, ahead: Optional[tuple[bytes, ...]]) -> None:
        """As `write`, where index and files are exactly those of `head`: git need not look at what is
        the same in both. `ahead` is `Seen`'s. Raises StepFailed."""
        if ahead is None:
            ((code, _),) = self._at_once([("read-tree", "-m", "-u", head, commit)])
        else:
            code = self._take_from(commit, ahead)
        if code:
            self.write(commit)

    def _take_from(self, commit: str, paths: tuple[bytes, ...]) -> int:
        """git's exit code. With names, it goes neither through all trees nor through all of the index."""
        if not paths:
            return 0
        words = ("checkout", "-q", commit, "--pathspec-from-file=-", "--pathspec-file-nul")
        return spawn.capture(
            self._argv("--literal-pathspecs", *words),
            cwd=os.fsdecode(self.files),
            env=self._env,
            input=b"\0".join(paths),
            stderr=self._steps.log_fd,
        )[0]

    def write(self, commit: str, everything: bool = False) -> None:
        """Make index and tracked files those of `commit`; a file in the way is overwritten.
        `everything`: also what the index says is right already. Raises StepFailed."""
        words = ("read-tree", "--reset", "-u", commit)
        answers = self._at_once([words])
        if answers[0][0]:
            trees.open_up(self.files)
            self._steps.run(self._argv(*words), os.fsdecode(self.files), self._env)
        if everything:
            self._drop_index()
            self._steps.run(self._argv(*words), os.fsdecode(self.files), self._env)

    def _drop_index(self) -> None:
        if trees.lstat(self.git_dir + b"/index") is not None:
            os.unlink(self.git_dir + b"/index")


def is_untouched(top: bytes, listed: bytes, since_ns: int) -> bool:
    """Whether all directories of the files that `ls-files -v` has `listed` are there, and none has changed
    since: a file that is put there leaves its directory newer."""
    folders = {b""}
    for entry in listed.split(b"\0"):
        folder = entry[2:].rpartition(b"/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]
    try:
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return all(
            os.stat(folder or b".", dir_fd=fd, follow_symlinks=False).st_mtime_ns <= since_ns
            for folder in folders
        )
    except OSError:
        return False
    finally:
        os.close(fd)


def _ahead(between: bytes) -> Optional[tuple[bytes, ...]]:
    """`Seen.ahead` of what diff-tree says (git-diff-tree(1), "Raw output format")."""
    fields = between.split(b"\0")[:-1]
    whats, paths = fields[0::2], fields[1::2]
    if len(paths) > _MOST_BY_NAME or any(what.endswith(b" D") or b"160000" in what[:14] for what in whats):
        return None
    return tuple(paths)


def _untracked(listing: bytes) -> tuple[bytes, ...]:
    """The untracked paths of `ls-files -v -c -o`, which stand before the tracked ones."""
    entries = []
    for entry in listing.split(b"\0"):
        if not entry.startswith(b"? "):
            break
        entries.append(entry[2:].rstrip(b"/"))
    return tuple(entries)


def _hides(files: bytes) -> bool:
    """Whether any of `git ls-files -z -v` is neither H nor ?: assume-unchanged, skip-worktree, unmerged."""
    marked = b"\0" + files
    return marked.count(b"\0H ") + marked.count(b"\0? ") != files.count(b"\0")
