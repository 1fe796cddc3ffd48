"""Poetry: what poetry.lock says, into a venv beside the sandbox. https://python-poetry.org/docs/cli/"""

from __future__ import annotations

import json
import posixpath
import re

from dobby.core import pyproject, venv
from dobby.core.lazy import regex
from dobby.core.plan import LOCKED, NOT_DECLARED, Layer, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Plan, Tools, Tree

FAMILY = "python"
NEEDS = ("poetry", "python3")
HINTS: tuple[tuple[str, str], ...] = ()

_LOCK = "poetry.lock"
_DIRECTORY = regex(r'^type = "directory"\nurl = "([^"]+)"', re.M)
# An active VIRTUAL_ENV is where Poetry installs, whatever the project's poetry.toml says.
_VARIABLES = (
    ("POETRY_VIRTUALENVS_CREATE", "true"),
    ("POETRY_VIRTUALENVS_IN_PROJECT", "false"),
    ("POETRY_NO_INTERACTION", "1"),
    # It would ask the desktop's keyring for passwords, and hang where that is locked.
    ("POETRY_KEYRING_ENABLED", "false"),
    ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
)


def detect(tree: Tree) -> int:
    return LOCKED if tree.read(_LOCK) is not None else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    lock, python, where = venv.locked(tree, _LOCK, "poetry"), venv.python3(tools), venv.path(tools)
    top = pyproject.read(tree)
    copies = _copies(tree, lock)
    keys = [
        ("poetry", tools.identity),
        ("lock", lock),
        ("dependencies", pyproject.dependencies_key(top)),
        ("settings", json.dumps(top.document.get("tool", {}).get("poetry"), sort_keys=True)),
        ("package", pyproject.build_key(tree, top) if _is_package(top) else ""),
        *copies,
    ]
    install = (tools.found["poetry"], "install", "--sync", "--no-interaction", "--no-ansi")
    layer = Layer(
        name="dependencies",
        key=key_text(*keys),
        # Without pip: Poetry brings its own, and Debian's python3 has none to give.
        steps=((python, "-I", "-m", "venv", "--without-pip", where), install),
        cwd=tree.path,
        variables=(("VIRTUAL_ENV", where), *_VARIABLES),
        # Poetry takes a directory that it has copied for unchanged while its version is.
        fresh=bool(copies),
    )
    return venv.plan(tools, (layer,))


def _is_package(top: pyproject.Directory) -> bool:
    poetry = top.document.get("tool", {}).get("poetry", {})
    return poetry.get("package-mode", True) is not False


def _copies(tree: Tree, lock: str) -> list[tuple[str, str]]:
    """The packages of the checkout that the lock names, and what decides each one's install."""
    found = []
    for path in _DIRECTORY.findall(lock):
        directory = pyproject.read(tree, posixpath.normpath(path))
        found.append((f"package {path}", pyproject.build_key(tree, directory, copied=True)))
    return found
