"""What a directory's pyproject.toml, setup.cfg and setup.py say, and when an install is stale."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree

from dobby.core import pyproject
from dobby.core.plan import PlanError

HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT = '[project]\nname = "x"\nversion = "1"\n'


def read(text: str, **others: str) -> pyproject.Directory:
    files = {f"setup.{suffix}": content for suffix, content in others.items()}
    return pyproject.read(DictTree({"pyproject.toml": text, **files} if text else files))


@pytest.mark.parametrize(
    ("text", "others", "declared", "installable", "dependencies"),
    [
        ("", {}, False, False, ()),
        ("[tool.ruff]\nline-length = 100\n", {}, False, False, ()),
        ("[tool.ruff]\n", {"py": "setup()"}, True, True, None),
        ("", {"cfg": "[flake8]\n"}, False, False, ()),
        (PROJECT, {}, True, False, ()),
        (PROJECT + 'dependencies = ["six", "a>1"]\n', {}, True, False, ("six", "a>1")),
        (PROJECT + "[tool.uv]\npackage = true\n", {}, True, True, ()),
        (PROJECT + HATCH + "[tool.uv]\npackage = false\n", {}, True, False, ()),
        (PROJECT + HATCH, {}, True, True, ()),
        (PROJECT + 'dynamic = ["dependencies"]\n' + SETUPTOOLS, {}, True, True, None),
        (SETUPTOOLS, {"cfg": "[metadata]\nname = x\n"}, True, True, None),
        ('[tool.poetry]\nname = "x"\n', {}, True, False, ()),
    ],
)
def test_what_is_declared(
    text: str,
    others: dict[str, str],
    declared: bool,
    installable: bool,
    dependencies: tuple[str, ...] | None,
) -> None:
    found = read(text, **others)
    assert (found.is_declared, found.is_installable, found.dependencies) == (
        declared,
        installable,
        dependencies,
    )


@pytest.mark.parametrize(
    ("text", "others", "pure"),
    [
        (PROJECT + HATCH, {}, True),
        (PROJECT + SETUPTOOLS, {}, True),
        (PROJECT + SETUPTOOLS, {"cfg": "[options]\n"}, True),
        (PROJECT + SETUPTOOLS, {"py": "setup(ext_modules=x)"}, False),
        (PROJECT + SETUPTOOLS + "[tool.setuptools]\next-modules = [{name = 'x'}]\n", {}, False),
        (PROJECT + SETUPTOOLS + "[tool.setuptools_scm]\n", {}, False),
        (PROJECT, {}, False),
        (PROJECT + HATCH.replace("hatchling.build", "maturin"), {}, False),
        (PROJECT + HATCH + 'backend-path = ["."]\n', {}, False),
        ('[project]\nname = "x"\ndynamic = ["version"]\n' + HATCH, {}, False),
        (PROJECT + HATCH + '[tool.hatch.build.hooks.vcs]\nversion-file = "v.py"\n', {}, False),
        (PROJECT + HATCH + "[tool.hatch.build.targets.wheel.hooks.custom]\n", {}, False),
        (PROJECT + HATCH + '[tool.hatch.build.targets.wheel]\npackages = ["x"]\n', {}, True),
        (PROJECT + HATCH + '[tool.poetry.build]\nscript = "b.py"\n', {}, False),
    ],
)
def test_which_editable_installs_stay_true(text: str, others: dict[str, str], pure: bool) -> None:
    assert read(text, **others).is_pure is pure


BASE = {"pyproject.toml": PROJECT + SETUPTOOLS, "src/x/__init__.py": "", "x_tests/test_a.py": ""}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"src/x/__init__.py": "other"}, False),
        ({"src/x/new.py": ""}, False),
        ({"README.md": "new"}, False),
        ({"src/y/__init__.py": ""}, True),
        ({"top.py": ""}, True),
        ({"setup.cfg": "[options]\n"}, True),
        ({"x.egg-info/PKG-INFO": "", "build/lib/x.py": "", "__pycache__/a.pyc": ""}, False),
        ({"pyproject.toml": PROJECT + SETUPTOOLS + "[tool.ruff]\nline-length = 9\n"}, False),
        ({"pyproject.toml": PROJECT + 'description = "b"\n' + SETUPTOOLS}, False),
        ({"pyproject.toml": PROJECT + SETUPTOOLS + '[project.scripts]\nx = "x:y"\n'}, True),
        ({"pyproject.toml": PROJECT + SETUPTOOLS + "[tool.setuptools]\npy-modules = []\n"}, True),
    ],
)
def test_when_an_editable_install_is_made_anew(changes: dict[str, str], changed: bool) -> None:
    keys = []
    for snapshot, files in (("s1", BASE), ("s2", {**BASE, **changes})):
        tree = DictTree(files, snapshot=snapshot)
        keys.append(pyproject.build_key(tree, pyproject.read(tree)))
    assert (keys[0] != keys[1]) is changed


def test_a_package_in_a_namespace_of_the_flat_layout_counts() -> None:
    tree = DictTree({"pyproject.toml": PROJECT + SETUPTOOLS, "ns/a/__init__.py": ""})
    assert pyproject.top_level(tree, pyproject.read(tree)) == ["ns/", "ns/a/"]


def test_a_copy_is_stale_with_every_file() -> None:
    keys = set()
    for snapshot in ("s1", "s2"):
        tree = DictTree(BASE, snapshot=snapshot)
        keys.add(pyproject.build_key(tree, pyproject.read(tree), copied=True))
    assert len(keys) == 2


def test_dependencies_from_the_checkout() -> None:
    text = """\
[project]
name = "x"
dependencies = ["a @ file:./a", "b[e] @ ./b", "c @ https://x/c.whl", "d"]
[tool.uv.sources]
d = { path = "d" }
e = { workspace = true }
f = { git = "https://x/f" }
g = [{ index = "i" }, { path = "g" }]
[tool.poetry.dependencies]
h = { path = "h" }
i = "^1"
"""
    assert read(text).path_sources == ("a", "b", "d", "e", "g", "h")


def test_what_is_no_toml_is_named() -> None:
    tree = DictTree({"app/pyproject.toml": "[project\n"}, dir="app")
    with pytest.raises(PlanError, match=r"app/pyproject\.toml: line 1"):
        pyproject.read(tree)
