"""uv: `uv sync` where there is a uv.lock, else `uv venv` and `uv pip install`."""

from __future__ import annotations

import posixpath
import re

from dobby.core import pyproject, recipe, venv
from dobby.core.lazy import regex
from dobby.core.plan import LOCKED, NOT_DECLARED, PREFERRED, Layer, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core.plan import Plan, Tools, Tree
    from dobby.core.recipe import Recipe

FAMILY = "python"
NEEDS = ("uv",)
HINTS = (
    (
        "No interpreter found for",
        "uv finds no Python that the project wants, and may not fetch one: install it on the host",
    ),
)

_LOCK = "uv.lock"
# A package of the lock that lies in the checkout, as uv writes it.
_SOURCE = regex(
    r'^name = "([^"]+)"\n(?:version = .*\n)?source = \{ (editable|directory|virtual) = "([^"]*)"', re.M
)


def detect(tree: Tree) -> int:
    if _lock_above(tree) is not None:
        return LOCKED
    if "uv" in pyproject.read(tree).document.get("tool", {}) and recipe.is_declared(tree):
        return LOCKED
    return PREFERRED if recipe.is_declared(tree) else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    if "uv" not in tools.found:
        raise PlanError(
            "the host has no uv in PATH: install it there (such as `pipx install uv`), "
            "or name its directory in `path` of the host's settings"
        )
    where = venv.path(tools)
    up = _lock_above(tree)
    if up is not None:
        layers: tuple[Layer, ...] = (_sync(tree, tools, up, where),)
    else:
        wanted = recipe.read(tree)
        if wanted is None:
            raise PlanError(
                f"uv finds nothing to install in {tree.dir or 'the top directory'}: no uv.lock, "
                "no requirements, no project in pyproject.toml, no setup.py"
            )
        layers = _install(tree, tools, wanted, where)
    # So that `uv run` and `uv pip` in the command find it too.
    return venv.plan(tools, layers, (("UV_PROJECT_ENVIRONMENT", where),))


def _lock_above(tree: Tree) -> Optional[str]:
    """The way to the directory whose uv.lock holds here: "" is this one, ".." the next above,
    where that is a workspace and this its member. None where there is no such lock."""
    if tree.read(_LOCK) is not None:
        return ""
    for up in recipe.ups(tree):
        lock = tree.read(f"{up}/{_LOCK}")
        if lock is not None:
            top = posixpath.normpath(posixpath.join("/", tree.dir, up))
            here = posixpath.relpath(posixpath.join("/", tree.dir), top)
            member = any(k != "directory" and p == here for _, k, p in _SOURCE.findall(lock))
            return up if member else None
    return None


def _sync(tree: Tree, tools: Tools, up: str, where: str) -> Layer:
    """One layer: uv itself moves only what differs, but it takes a local package for unchanged
    while the date of its pyproject.toml is, so each is named to be installed anew."""
    lock = tree.read(posixpath.join(up, _LOCK)) or ""
    keys = [("uv", tools.identity), ("lock", lock), *recipe.versions(tree)]
    again: list[str] = []
    for name, kind, path in _SOURCE.findall(lock):
        directory = pyproject.read(tree, posixpath.normpath(posixpath.join(up, path)))
        keys.append((f"dependencies {path}", pyproject.dependencies_key(directory)))
        if kind != "virtual":
            again += ["--reinstall-package", name]
            key = pyproject.build_key(tree, directory, copied=kind == "directory")
            keys.append((f"package {path}", key))
    return Layer(
        name="dependencies",
        key=key_text(*keys),
        steps=((tools.found["uv"], "sync", "--frozen", *again),),
        cwd=tree.path,
        variables=(("UV_PROJECT_ENVIRONMENT", where), ("UV_NO_PROGRESS", "1")),
        fresh=False,
    )


def _install(tree: Tree, tools: Tools, wanted: Recipe, where: str) -> tuple[Layer, ...]:
    uv = tools.found["uv"]
    install = (uv, "pip", "install", "--python", f"{where}/bin/python")
    from_project = ("-r", pyproject.FILE) if wanted.dependencies else ()
    steps: list[tuple[str, ...]] = [(uv, "venv", "--quiet", where)]
    if wanted.requirements:
        steps.append((*install, "-r", wanted.requirements))
    if from_project:
        steps.append((*install, *from_project))
    variables = (("UV_NO_PROGRESS", "1"),)
    dependencies = Layer(
        name="dependencies",
        key=key_text(("uv", tools.identity), ("dependencies", wanted.dependencies_key)),
        steps=tuple(steps),
        cwd=tree.path,
        variables=variables,
    )
    words = [w for local in wanted.locals for w in ((*("-e",) * local.editable, local.word))]
    last: list[tuple[str, ...]] = []
    if words:
        # uv takes a directory for unchanged while the date of its pyproject.toml is.
        last.append((*install, "--no-deps", "--reinstall", *words))
    if wanted.resolve or wanted.path_sources:
        again = [w for name in wanted.path_sources for w in ("--reinstall-package", name)]
        last.append((*install, *again, *(words or from_project)))
    if not last:
        return (dependencies,)
    project = Layer(
        name="project",
        key=wanted.locals_key,
        steps=tuple(last),
        cwd=tree.path,
        variables=variables,
        fresh=False,
    )
    return (dependencies, project)
