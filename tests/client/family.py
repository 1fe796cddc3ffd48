"""A repository with nested submodules, for the tests of snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gitrepo import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from dobby import snapshot
    from dobby.core.request import Module


class Family:
    """`outer` has the submodule `libs/inner` (named so), and that has `deep/innermost`, named
    "odd name"; all three have an origin of their own in `tmp_path`."""

    def __init__(self, tmp_path: Path) -> None:
        self.innermost = Repo(str(tmp_path / "innermost"))
        self.innermost.commit("innermost", {"c.txt": "c\n"})
        self.inner = Repo(str(tmp_path / "inner"))
        self.inner.commit("inner", {"b.txt": "b\n"})
        self.inner.git(
            "submodule", "--quiet", "add", "--name", "odd name", "../innermost", "deep/innermost"
        )
        self.inner.git("commit", "-q", "-m", "with innermost")
        self.outer = Repo(str(tmp_path / "outer"))
        self.outer.commit("outer", {"a.txt": "a\n"})
        self.outer.git("remote", "add", "origin", f"file://me:canary@{tmp_path}/outer")
        self.outer.git(
            "-c", "protocol.file.allow=always", "submodule", "add", "-q", self.inner.path, "libs/inner"
        )
        self.outer.git("config", "-f", ".gitmodules", "submodule.libs/inner.url", "../inner")
        self.outer.git("add", "-A")
        self.outer.git("commit", "-q", "-m", "with inner")
        self.here = Repo.__new__(Repo)
        self.here.path = f"{self.outer.path}/libs/inner"
        self.here._commits = 5

    def initialise(self) -> None:
        self.outer.git("submodule", "update", "--init", "--recursive", "-q")


def modules(taken: snapshot.Snapshot) -> dict[str, Module]:
    return {source.module.path: source.module for source in taken.modules}
