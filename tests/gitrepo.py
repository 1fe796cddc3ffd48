"""Small real repositories, for tests: fixed identity and dates, so that ids repeat."""

from __future__ import annotations

import os
import subprocess

NOON = 1_700_000_000


class Repo:
    """A repository at `path`. Each commit is a minute later than the one before."""

    def __init__(self, path: str, object_format: str = "sha1") -> None:
        self.path = path
        self._commits = 0
        os.makedirs(path)
        self.git("init", "-q", "-b", "main", f"--object-format={object_format}")

    def git(self, *words: str) -> str:
        """stdout of a git command, without the last newline; git's own words when it fails."""
        result = self.git_bytes(*words)
        return result.decode("utf-8", "surrogateescape").removesuffix("\n")

    def git_bytes(self, *words: str) -> bytes:
        """stdout of a git command, as it is."""
        date = f"{NOON + 60 * self._commits} +0000"
        env = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        result = subprocess.run(["git", *words], cwd=self.path, env=env, capture_output=True, check=False)
        assert result.returncode == 0, f"git {' '.join(words)}: {result.stderr.decode(errors='replace')}"
        return result.stdout

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> str:
        """A file in the working tree, its directories too; the path of it."""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
        os.chmod(path, mode)
        return path

    def commit(self, message: str, files: dict[str, str | bytes] | None = None) -> str:
        """The id of a commit of the whole working tree, after `files` were written."""
        for name, content in (files or {}).items():
            self.write(name, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self._commits += 1
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


def example(path: str, object_format: str = "sha1") -> Repo:
    """`main` with three commits, the second tagged v1 (annotated); branch `demo` one further."""
    repo = Repo(path, object_format)
    repo.commit("one", {"README": "an example\n", "hello.py": "print('hello')\n"})
    repo.commit("two", {"lib/numbers.txt": "1\n2\n3\n"})
    repo.git("tag", "-a", "v1", "-m", "the first")
    repo.write("run.sh", "#!/bin/sh\necho run $*\n", 0o755)
    repo.commit("three")
    repo.git("checkout", "-q", "-b", "demo")
    repo.commit("four", {"hello.py": "print('hello from demo')\n"})
    repo.git("checkout", "-q", "main")
    return repo
