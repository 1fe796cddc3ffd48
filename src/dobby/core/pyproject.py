"""A directory's pyproject.toml, setup.cfg and setup.py: what is declared, how it is built."""

from __future__ import annotations

import posixpath

from dobby.core import json, toml
from dobby.core.plan import PlanError, key_text
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from dobby.core.plan import Tree

FILE = "pyproject.toml"

# Tables of tools that neither build nor install. All others are taken to matter.
_HARMLESS = frozenset(
    (
        *("bandit", "basedpyright", "black", "bumpversion", "codespell", "commitizen", "coverage"),
        *("dobby", "flake8", "isort", "mutmut", "mypy", "nox", "pydocstyle", "pylint", "pyright"),
        *("pytest", "ruff", "semantic_release", "towncrier", "tox", "ty", "vulture", "yapf"),
    )
)
_WORDS = frozenset(
    (
        *("authors", "classifiers", "description", "keywords", "license", "license-files"),
        *("maintainers", "readme", "urls"),
    )
)
# Backends whose editable install is a pointer into the checkout and runs none of its code.
_PURE_BACKENDS = frozenset(
    (
        "flit_core.buildapi",
        "hatchling.build",
        "pdm.backend",
        "poetry.core.masonry.api",
        "setuptools.build_meta",
        "uv_build",
    )
)
_SOURCE_DIRS = ("src", "lib", "python")


class Directory(Record):
    """One directory of a project. `document` is its pyproject.toml, {} where there is none;
    `others` are setup.py and setup.cfg: (name, content), where they exist."""

    path: str
    document: dict[str, Any]
    others: tuple[tuple[str, str], ...]

    @property
    def project(self) -> dict[str, Any]:
        return _table(self.document, "project")

    @property
    def is_declared(self) -> bool:
        """Whether anything is declared: a pyproject.toml with tools' settings declares nothing."""
        return "project" in self.document or self.is_installable or bool(_poetry(self.document))

    @property
    def is_installable(self) -> bool:
        """Whether the directory is a package. As uv has it, [project] without a build system
        only lists dependencies, unless [tool.uv] `package` says otherwise."""
        package = _table(self.document, "tool", "uv").get("package")
        if isinstance(package, bool):
            return package
        return "build-system" in self.document or any(name == "setup.py" for name, _ in self.others)

    @property
    def dependencies(self) -> Optional[tuple[str, ...]]:
        """What it needs; None where only a build can tell."""
        if "project" in self.document:
            if "dependencies" not in self.project.get("dynamic", ()):
                return tuple(map(str, self.project.get("dependencies", ())))
            return None
        return None if self.is_installable else ()

    @property
    def is_pure(self) -> bool:
        """Whether an editable install stays true whatever changes in the checkout, but for
        the names of top-level modules: a known backend, and no code of the project's own."""
        build = _table(self.document, "build-system")
        backend = str(build.get("build-backend", ""))
        return (
            backend in _PURE_BACKENDS
            and "backend-path" not in build
            and not any(name == "setup.py" for name, _ in self.others)
            and "version" not in self.project.get("dynamic", ())
            and not _has_build_code(self.document)
        )

    @property
    def path_sources(self) -> tuple[str, ...]:
        """Names of dependencies that come from elsewhere in the checkout."""
        names = set()
        for name, source in _table(self.document, "tool", "uv", "sources").items():
            options = source if isinstance(source, list) else [source]
            if any("path" in o or o.get("workspace") for o in options if isinstance(o, dict)):
                names.add(name)
        for name, source in _table(_poetry(self.document), "dependencies").items():
            if isinstance(source, dict) and "path" in source:
                names.add(name)
        for requirement in self.project.get("dependencies", ()):
            name, at, place = str(requirement).partition("@")
            if at and place.strip().startswith(("file:", ".", "/")):
                names.add(name.partition("[")[0].strip())
        return tuple(sorted(names))


def read(tree: Tree, path: str = "") -> Directory:
    """The directory `path` of the tree. Raises PlanError for a file that is no TOML."""
    text = tree.read(posixpath.join(path, FILE))
    try:
        document = toml.parse(text) if text else {}
    except ValueError as error:
        raise PlanError(f"{posixpath.join(tree.dir, path, FILE)}: {error}") from None
    others = []
    for name in ("setup.cfg", "setup.py"):
        content = tree.read(posixpath.join(path, name))
        if content is not None:
            others.append((name, content))
    return Directory(path=path, document=document, others=tuple(others))


def dependencies_key(directory: Directory) -> str:
    """All that decides which dependencies an environment gets, as text."""
    names = ("dependencies", "optional-dependencies", "requires-python", "dynamic")
    document = {
        "project": {n: directory.project[n] for n in names if n in directory.project},
        "groups": directory.document.get("dependency-groups"),
        "uv": _table(directory.document, "tool", "uv"),
    }
    return json.dumps(document, sort_keys=True)


def build_key(tree: Tree, directory: Directory, copied: bool = False) -> str:
    """All that decides what an install of this directory is, as text. `copied`: it is no
    editable one, so that every file counts."""
    document = {k: v for k, v in directory.document.items() if k not in ("tool", "project")}
    document["project"] = {k: v for k, v in directory.project.items() if k not in _WORDS}
    document["tool"] = {k: v for k, v in _table(directory.document, "tool").items() if k not in _HARMLESS}
    every_file = copied or not directory.is_pure
    return key_text(
        (posixpath.join(directory.path, FILE), json.dumps(document, sort_keys=True)),
        *directory.others,
        ("modules", "\n".join(top_level(tree, directory))),
        ("snapshot", tree.snapshot if every_file else ""),
    )


def top_level(tree: Tree, directory: Directory) -> list[str]:
    """Directories and modules that an install may map by name: a new one is invisible to an
    editable install that was made before (setuptools' finder maps names, not directories)."""
    settings = json.dumps(_table(directory.document, "tool"))
    found = []
    for name in _modules(tree, directory.path):
        found.append(name)
        plain = name.rstrip("/")
        inner = posixpath.join(directory.path, plain)
        named = plain in _SOURCE_DIRS or f'"{plain}"' in settings
        # A directory without __init__.py may be a namespace, whose packages are mapped too.
        if name.endswith("/") and (named or tree.read(f"{inner}/__init__.py") is None):
            found += [f"{plain}/{module}" for module in _modules(tree, inner)]
    return found


def _modules(tree: Tree, path: str) -> list[str]:
    return [name for name in tree.names(path) if _is_module(name)]


def _is_module(name: str) -> bool:
    if name.endswith("/"):
        made = name in ("__pycache__/", "build/", "dist/") or name.endswith(".egg-info/")
        return not made and not name.startswith(".")
    return name.endswith(".py")


def _has_build_code(document: dict[str, Any]) -> bool:
    """Whether a build runs more than its backend: hooks, scripts, extensions, a version from
    git. The tables are those of the backends' own documentation."""
    tool = _table(document, "tool")
    hatch, pdm = _table(tool, "hatch"), _table(tool, "pdm")
    return bool(
        "setuptools_scm" in tool
        or "setuptools-git-versioning" in tool
        or _table(tool, "setuptools").get("ext-modules")
        or _table(hatch, "build", "hooks")
        or any("hooks" in t for t in _table(hatch, "build", "targets").values() if isinstance(t, dict))
        or _table(hatch, "metadata", "hooks")
        or _table(pdm, "build")
        or _table(pdm, "version")
        or _poetry(document).get("build")
        or "poetry-dynamic-versioning" in tool
    )


def _poetry(document: dict[str, Any]) -> dict[str, Any]:
    return _table(document, "tool", "poetry")


def _table(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at `keys`, {} where there is none."""
    for key in keys:
        inner = document.get(key)
        document = inner if isinstance(inner, dict) else {}
    return document
