"""What a directory asks for that has no lock file: the same for every installer."""

from __future__ import annotations

import posixpath

from dobby.core import pyproject, requirements
from dobby.core.plan import key_text
from dobby.core.record import Record
from dobby.core.requirements import Local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core.plan import Tree

# Read by uv and by version managers, in the directory or above it.
_ABOVE = (".python-version", ".python-versions", ".tool-versions", "uv.toml")


class Recipe(Record):
    """`requirements` is the file of them, "" where there is none; it then says all, also whether the
    project itself is installed (`-e .`). `dependencies` are those named by pyproject.toml otherwise.
    `locals` are the packages of this checkout to install last, and again when `locals_key`
    changes; `resolve`: only their build can tell what they need.
    `path_sources` are names of dependencies that lie in the checkout."""

    requirements: str
    dependencies: tuple[str, ...]
    dependencies_key: str
    locals: tuple[Local, ...]
    locals_key: str
    resolve: bool
    path_sources: tuple[str, ...]


def is_declared(tree: Tree) -> bool:
    """Whether this very directory says what it needs."""
    return tree.read(requirements.FILE) is not None or bool(
        pyproject.read(tree).is_declared or requirements.entry(tree)
    )


def read(tree: Tree) -> Optional[Recipe]:
    """None where nothing is declared. Raises PlanError for a file that is no TOML."""
    top = pyproject.read(tree)
    files = requirements.included(tree, requirements.entry(tree, sure=top.is_declared))
    if not files and not top.is_declared:
        return None
    locals = requirements.local_paths(files)
    if top.is_installable and not files:
        locals.append(Local(word=".", path="", editable=True))
    directories = [(local, pyproject.read(tree, local.path)) for local in locals]
    declaring = [*(() if files else (top,)), *(d for _, d in directories)]
    # A wheel or archive has no pyproject.toml to read: nothing tells what it needs but itself.
    resolve = any(d.dependencies is None or not d.is_declared for _, d in directories)
    path_sources = sorted({name for d in declaring for name in d.path_sources})
    builds = [
        (local.word, pyproject.build_key(tree, directory, copied=not local.editable))
        for local, directory in directories
    ]
    whole = resolve or path_sources
    return Recipe(
        requirements=files[0][0] if files else "",
        dependencies=() if files else top.dependencies or (),
        dependencies_key=key_text(
            *files,
            *((d.path, pyproject.dependencies_key(d)) for d in declaring),
            *versions(tree),
        ),
        locals=tuple(locals),
        locals_key=key_text(*builds, ("snapshot", tree.snapshot if whole else "")),
        resolve=resolve,
        path_sources=tuple(path_sources),
    )


def versions(tree: Tree) -> list[tuple[str, str]]:
    """Files that choose an interpreter or steer uv, here and above: (path, content)."""
    found = []
    for up in ("", *ups(tree)):
        for name in _ABOVE:
            text = tree.read(posixpath.join(up, name))
            if text is not None:
                found.append((posixpath.join(up, name), text))
    return found


def ups(tree: Tree) -> list[str]:
    """The directories above this one, nearest first, up to the sandbox's top: "..", "../.."."""
    depth = len(tree.dir.split("/")) if tree.dir else 0
    return ["/".join([".."] * n) for n in range(1, depth + 1)]
