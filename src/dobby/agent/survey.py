"""What a plan is made from: the checkout's files and the host's programs. While nothing has
changed, no process is started for it."""

from __future__ import annotations

import os
import posixpath

from dobby.agent import durable, spawn, variables
from dobby.core.digest import sha256
from dobby.core.plan import PlanError, Tools, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Optional

    from dobby.core.request import Request

_STEERING = (
    *("UV_", "PIP_", "PYENV_VERSION", "CONDA_", "MAMBA_", "PIXI_", "RENV_"),
    *("npm_", "NPM_", "PNPM_", "YARN_", "NODE_"),
)


class Checkout:
    """A `Tree`: the directory `dir` of the sandbox at `top`."""

    def __init__(self, top: str, dir: str, snapshot: str) -> None:
        self.dir = dir
        self.path = posixpath.join(top, dir) if dir else top
        self.snapshot = snapshot
        self._top = top
        self._read: dict[str, Optional[str]] = {}

    def names(self, dir: str = "") -> list[str]:
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


def tools(needs: Iterable[str], env: Mapping[str, str], tree: Checkout, where: str, memo: str) -> Tools:
    """Those of `needs` that env's PATH has. `memo` is a file for the answer to the one question
    that takes a process. Raises PlanError when a version manager gives no interpreter."""
    found = {}
    for name in [program for need in needs for program in need.split("|")]:
        path = variables.find(name, env)
        if path:
            found[name] = _interpreter(path, env, tree, memo) if name == "python3" else path
    steering = {k: v for k, v in env.items() if k.startswith(_STEERING)}
    system = os.uname()
    identity = key_text(
        *((name, _stamp(path)) for name, path in sorted(found.items())),
        ("platform", f"{system.sysname} {system.machine} {_libc()}"),
        # A package index may hold a password: its digest is enough.
        ("variables", sha256(repr(sorted(steering.items())).encode("utf-8", "replace")).hexdigest()),
    )
    return Tools(found=found, identity=identity, where=where)


def _stamp(path: str) -> str:
    """Path, size and date of a program: no process is needed to see that it is the same."""
    stat = os.stat(path)
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError):
        return ""


def _interpreter(path: str, env: Mapping[str, str], tree: Checkout, memo: str) -> str:
    """The interpreter itself: a version manager's shim is a script, and is asked once."""
    with open(path, "rb") as file:
        is_script = file.read(2) == b"#!"
    if not is_script:
        return os.path.realpath(path)
    version = [tree.read(f"{up}.python-version") for up in ("", *_ups(tree.dir))]
    question = repr((_stamp(path), env.get("PYENV_VERSION"), version))
    asked, _, answer = (durable.read(memo) or b"").decode("utf-8", "surrogateescape").partition("\n")
    if asked == question and os.access(answer, os.X_OK):
        return answer
    argv = (path, "-I", "-c", "import os, sys; print(os.path.realpath(sys.executable))")
    code, out, said = spawn.capture(argv, cwd=tree.path, env=env)
    answer = os.fsdecode(out).strip()
    if code or not os.access(answer, os.X_OK):
        raise PlanError(f"{path} gives no interpreter: {said.decode('utf-8', 'replace').strip()}")
    durable.replace(memo, f"{question}\n{answer}".encode("utf-8", "surrogateescape"))
    return answer


def _ups(dir: str) -> list[str]:
    return ["../" * n for n in range(1, len(dir.split("/")) + 1)] if dir else []
