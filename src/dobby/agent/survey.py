"""What a plan is made from: the checkout's files and the host's programs. While nothing has
changed, no process is started for it."""

from __future__ import annotations

import os
import posixpath

from dobby.agent import durable, interpreters, variables
from dobby.core.digest import sha256
from dobby.core.plan import Tools, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Optional

    from dobby.core.interpreter import Wish
    from dobby.core.request import Request

_STEERING = (
    *("UV_", "PIP_", "PYENV_VERSION", "POETRY_", "PIPENV_"),
    *("CONDA_", "MAMBA_", "PIXI_", "RENV_"),
    *("npm_", "NPM_", "PNPM_", "YARN_", "NODE_"),
)


class Checkout:
    """A `Tree`: the directory `dir` of the sandbox at `top`. `asked` is what was asked of it, and answered:
    all that a plan can know of the checkout."""

    def __init__(self, top: str, dir: str, snapshot: str) -> None:
        self.dir = dir
        self.path = posixpath.join(top, dir) if dir else top
        self.asked: dict[tuple[str, str], object] = {}
        self._snapshot = snapshot
        self._top = top
        self._read: dict[str, Optional[str]] = {}

    @property
    def snapshot(self) -> str:
        self.asked["snapshot", ""] = self._snapshot
        return self._snapshot

    def names(self, dir: str = "") -> list[str]:
        found = self._names(dir)
        self.asked["names", dir] = found
        return found

    def _names(self, dir: str) -> list[str]:
        path = self._inside(dir)
        if path is None:
            return []
        try:
            with os.scandir(path) as found:
                return sorted(entry.name + "/" * entry.is_dir() for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> Optional[str]:
        if path not in self._read:
            full = self._inside(path)
            data = durable.read(full) if full and os.path.isfile(full) else None
            self._read[path] = None if data is None else data.decode("utf-8", "surrogateescape")
            self.asked["read", path] = self._read[path]
        return self._read[path]

    def _inside(self, path: str) -> Optional[str]:
        """The absolute path, None for one that leaves the sandbox."""
        inside = posixpath.normpath(posixpath.join(self.dir, path))
        if inside.startswith(("/", "../")) or inside == "..":
            return None
        return posixpath.join(self._top, inside)


def snapshot_of(request: Request) -> str:
    """The commit, and the tags and branch from which a build may make a version."""
    return key_text(("commit", request.commit), ("tags", repr(request.tags)), ("branch", request.branch))


def tools(
    needs: Iterable[str],
    env: Mapping[str, str],
    tree: Checkout,
    where: str,
    memo: str,
    wanted: tuple[Wish, ...] = (),
    got: Mapping[str, str] = {},
) -> Tools:
    """Those of `needs` that env's PATH has; of Pythons, the one that is fit for `wanted`;
    and those that dobby has `got`. `memo` is a
    file for the answer to the one question that takes a process. Raises PlanError when none is."""
    found = dict(got)
    for name in [program for need in needs for program in need.split("|")]:
        is_python = name == "python3"
        path = interpreters.find(env, tree, memo, wanted) if is_python else variables.find(name, env)
        if path:
            found[name] = path
    steering = {k: v for k, v in env.items() if k.startswith(_STEERING)}
    system = os.uname()
    identity = key_text(
        *((name, interpreters.stamp(path)) for name, path in sorted(found.items())),
        ("platform", f"{system.sysname} {system.machine} {_libc()}"),
        # A package index may hold a password: its digest is enough.
        ("variables", sha256(repr(sorted(steering.items())).encode("utf-8", "replace")).hexdigest()),
    )
    return Tools(found=found, identity=identity, where=where)


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError):
        return ""
