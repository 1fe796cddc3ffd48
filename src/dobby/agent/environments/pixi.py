"""pixi: `pixi install`, by its lock file where there is one. Its environments lie in .pixi/envs."""

from __future__ import annotations

import posixpath
import re

from dobby.core.lazy import regex
from dobby.core.plan import LOCKED, NOT_DECLARED, PREFERRED, Layer, Plan, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Tools, Tree

FAMILY = "python"
NEEDS = ("pixi|~/.pixi/bin/pixi",)
HINTS = (
    (
        "lock-file not up-to-date",
        "pixi.lock does not agree with what the project declares: run `pixi lock`, and commit it",
    ),
)

_LOCK = "pixi.lock"
_TABLE = regex(r"^\s*\[tool\.pixi\.", re.M)


def detect(tree: Tree) -> int:
    if not _manifest(tree):
        return NOT_DECLARED
    return PREFERRED if tree.read(_LOCK) is None else LOCKED


def plan(tree: Tree, tools: Tools) -> Plan:
    manifest = _manifest(tree)
    if not manifest:
        raise PlanError(
            f"pixi finds nothing to install in {tree.dir or 'the top directory'}: no pixi.toml, "
            "no [tool.pixi] in pyproject.toml"
        )
    if not tools.found:
        raise PlanError(
            f"{manifest} needs pixi, and the host has none in PATH or in ~/.pixi/bin: install it "
            "there, or name its directory in `path` of the host's settings"
        )
    pixi = next(iter(tools.found.values()))
    lock = tree.read(_LOCK)
    # Without a lock file pixi makes one, which is then kept beside the environment.
    strictly = ("--locked",) if lock is not None else ()
    keys = [("pixi", tools.identity), ("lock", lock or ""), (manifest, tree.read(manifest) or "")]
    for name in (".pixi/config.toml", "pyproject.toml"):
        keys.append((name, tree.read(name) or ""))
    below = posixpath.join(tree.dir, ".pixi")
    return Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(*keys),
                steps=((pixi, "install", *strictly),),
                cwd=tree.path,
                variables=(("PIXI_NO_PROGRESS", "true"),),
                fresh=False,
            ),
        ),
        unset=("PYTHONHOME", "PYTHONPATH"),
        hook=(pixi, "shell-hook", "--shell", "bash", *strictly),
        lodged=(f"{below}/envs", f"{below}/solve-group-envs"),
    )


def _manifest(tree: Tree) -> str:
    if tree.read("pixi.toml") is not None:
        return "pixi.toml"
    return "pyproject.toml" if _TABLE.search(tree.read("pyproject.toml") or "") else ""
