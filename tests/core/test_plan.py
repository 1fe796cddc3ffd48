"""Plans of each kind, exactly: what is run, where, and what makes it run again."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree, tools

from dobby.agent.environments import none, pip, uv
from dobby.core import json
from dobby.core.plan import (
    LOCKED,
    NOT_DECLARED,
    POSSIBLE,
    PREFERRED,
    Layer,
    Plan,
    PlanError,
    dump_plan,
    key_text,
    load_plan,
)

HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["six>=1"]\n'
SETUP = "from setuptools import setup\nsetup()\n"
LOCK = """\
version = 1

[[package]]
name = "one"
version = "1"
source = { editable = "." }

[[package]]
name = "two"
source = { editable = "libs/two" }

[[package]]
name = "three"
version = "1"
source = { directory = "libs/three" }

[[package]]
name = "four"
version = "1"
source = { virtual = "tools/four" }

[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://example.org/simple" }
"""
ENV = "/env/venv"
UV_INSTALL = ("/bin/uv", "pip", "install", "--python", f"{ENV}/bin/python")
PIP_INSTALL = (f"{ENV}/bin/python", "-I", "-m", "pip", "install")


@pytest.mark.parametrize(
    ("files", "dir", "of_uv", "of_pip"),
    [
        ({}, "", NOT_DECLARED, NOT_DECLARED),
        ({"pyproject.toml": "[tool.black]\n"}, "", NOT_DECLARED, NOT_DECLARED),
        ({"requirements.txt": ""}, "", PREFERRED, POSSIBLE),
        ({"pyproject.toml": PROJECT}, "", PREFERRED, POSSIBLE),
        ({"setup.py": SETUP}, "", PREFERRED, POSSIBLE),
        ({"uv.lock": LOCK, "pyproject.toml": PROJECT}, "", LOCKED, POSSIBLE),
        ({"uv.lock": LOCK, "libs/two/pyproject.toml": PROJECT}, "libs/two", LOCKED, POSSIBLE),
        ({"uv.lock": LOCK, "tools/four/a.py": ""}, "tools/four", LOCKED, NOT_DECLARED),
        ({"uv.lock": LOCK, "libs/a.py": ""}, "libs", NOT_DECLARED, NOT_DECLARED),
    ],
)
def test_what_declares_which_kind(files: dict[str, str], dir: str, of_uv: int, of_pip: int) -> None:
    tree = DictTree(files, dir)
    assert (uv.detect(tree), pip.detect(tree), none.detect(tree)) == (of_uv, of_pip, NOT_DECLARED)


def test_none_does_nothing() -> None:
    assert none.plan(DictTree({}), tools()) == Plan(layers=())


def test_uv_with_requirements() -> None:
    plan = uv.plan(DictTree({"requirements.txt": "six\n", ".python-version": "3.12\n"}), tools("uv"))
    dependencies = key_text(("requirements.txt", "six\n"), (".python-version", "3.12\n"))
    assert plan == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(("uv", "id"), ("dependencies", dependencies)),
                steps=(("/bin/uv", "venv", "--quiet", ENV), (*UV_INSTALL, "-r", "requirements.txt")),
                cwd="/box",
                variables=(("UV_NO_PROGRESS", "1"),),
                fresh=True,
            ),
        ),
        path=(f"{ENV}/bin",),
        variables=(("VIRTUAL_ENV", ENV), ("UV_PROJECT_ENVIRONMENT", ENV)),
        unset=("PYTHONHOME",),
        proof=(f"{ENV}/bin/python",),
    )


def _nothing() -> str:
    return '{"groups": null, "project": {}, "uv": {}}'


def test_uv_with_a_lock_names_every_package_of_the_checkout() -> None:
    plan = uv.plan(DictTree({"uv.lock": LOCK, "pyproject.toml": PROJECT}), tools("uv"))
    (layer,) = plan.layers
    again = [w for name in ("one", "two", "three") for w in ("--reinstall-package", name)]
    assert layer.steps == (("/bin/uv", "sync", "--frozen", *again),)
    assert dict(layer.variables) == {"UV_PROJECT_ENVIRONMENT": ENV, "UV_NO_PROGRESS": "1"}
    assert not layer.fresh


def test_uv_in_a_member_of_a_workspace() -> None:
    files = {"uv.lock": LOCK, "libs/two/pyproject.toml": PROJECT, "libs/three/setup.py": SETUP}
    (layer,) = uv.plan(DictTree(files, "libs/two"), tools("uv")).layers
    assert layer.cwd == "/box/libs/two"
    (other,) = uv.plan(DictTree({**files, "libs/three/setup.py": "#"}, "libs/two"), tools("uv")).layers
    assert layer.key != other.key


def steps(kind: object, files: dict[str, str]) -> list[tuple[str, list[tuple[str, ...]], bool]]:
    plan = kind.plan(DictTree(files), tools("uv", "python3"))  # type: ignore[attr-defined]
    return [(layer.name, list(layer.steps), layer.fresh) for layer in plan.layers]


def test_a_project_is_installed_editable_in_a_layer_of_its_own() -> None:
    files = {"pyproject.toml": PROJECT + HATCH}
    assert steps(uv, files) == [
        (
            "dependencies",
            [("/bin/uv", "venv", "--quiet", ENV), (*UV_INSTALL, "-r", "pyproject.toml")],
            True,
        ),
        ("project", [(*UV_INSTALL, "--no-deps", "--reinstall", "-e", ".")], False),
    ]
    assert steps(pip, files) == [
        (
            "dependencies",
            [
                ("/bin/python3", "-I", "-m", "venv", ENV),
                (*PIP_INSTALL, "pip>=21.3"),
                (*PIP_INSTALL, "six>=1"),
            ],
            True,
        ),
        ("project", [(*PIP_INSTALL, "--no-deps", "-e", ".")], False),
    ]


def test_where_only_a_build_tells_the_dependencies_they_come_with_the_project() -> None:
    assert steps(uv, {"setup.py": SETUP})[1] == (
        "project",
        [(*UV_INSTALL, "--no-deps", "--reinstall", "-e", "."), (*UV_INSTALL, "-e", ".")],
        False,
    )
    assert steps(pip, {"setup.py": SETUP})[1] == ("project", [(*PIP_INSTALL, "-e", ".")], False)


def test_local_lines_of_requirements_are_installed_again_when_they_change() -> None:
    files = {
        "requirements.txt": "six\n./sub\n",
        "sub/pyproject.toml": PROJECT + HATCH,
        "pyproject.toml": PROJECT + HATCH,  # not named by the requirements: not installed
    }
    assert steps(uv, files)[1][1] == [(*UV_INSTALL, "--no-deps", "--reinstall", "./sub")]
    assert steps(pip, files)[1][1] == [(*PIP_INSTALL, "--no-deps", "./sub")]


def test_a_listed_top_directory_is_installed_as_listed() -> None:
    files = {"requirements.txt": ".[dev]\n", "pyproject.toml": PROJECT + HATCH}
    assert steps(uv, files)[1][1] == [(*UV_INSTALL, "--no-deps", "--reinstall", ".[dev]")]


def test_path_sources_are_fetched_again() -> None:
    files = {"pyproject.toml": PROJECT + '[tool.uv.sources]\nsix = { path = "vendored/six" }\n'}
    assert steps(uv, files)[1][1] == [(*UV_INSTALL, "--reinstall-package", "six", "-r", "pyproject.toml")]


@pytest.mark.parametrize("kind", [uv, pip])
@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({"pyproject.toml": PROJECT + HATCH}, []),
        ({"pyproject.toml": PROJECT.replace("six>=1", "six>=2") + HATCH}, ["dependencies", "project"]),
        ({"pyproject.toml": PROJECT + HATCH + '[project.scripts]\na = "a:b"\n'}, ["project"]),
        ({"new.py": ""}, ["project"]),
        ({"a/__init__.py": "other"}, []),
        ({".python-version": "3.13\n"}, ["dependencies"]),
        ({"setup.py": SETUP}, ["project"]),
    ],
)
def test_what_changes_which_layer(kind: object, files: dict[str, str], changed: list[str]) -> None:
    base = {"pyproject.toml": PROJECT + HATCH, "a/__init__.py": ""}
    before, after = (
        {x.name: x.key for x in kind.plan(DictTree(f, snapshot=s), tools("uv", "python3")).layers}  # type: ignore[attr-defined]
        for f, s in ((base, "s1"), ({**base, **files}, "s2"))
    )
    assert [name for name in before if before[name] != after[name]] == changed


def test_each_missing_program_is_said_with_the_remedy() -> None:
    with pytest.raises(PlanError, match=r"no uv in PATH: install it there .*`path`"):
        uv.plan(DictTree({"uv.lock": LOCK}), tools())
    with pytest.raises(PlanError, match=r"no python3 in PATH: install it"):
        pip.plan(DictTree({"requirements.txt": ""}), tools())


@pytest.mark.parametrize("kind", [uv, pip])
def test_nothing_to_install_is_said(kind: object) -> None:
    with pytest.raises(PlanError, match="finds nothing to install in sub"):
        kind.plan(DictTree({}, "sub"), tools("uv", "python3"))  # type: ignore[attr-defined]


def test_parts_of_a_key_cannot_pass_for_one_another() -> None:
    assert key_text(("a", "x\n== b 1\ny")) != key_text(("a", "x"), ("b", "y"))


def test_a_plan_is_the_same_after_a_journey_through_json() -> None:
    tree = DictTree({"pyproject.toml": HATCH + PROJECT, "uv.lock": LOCK + "\udc80"})
    for kind, program in ((uv, "uv"), (pip, "python3")):
        plan = kind.plan(tree, tools(program)).replace(hook=("h", "i"), lodged=("d",), answers=(("a",),))
        assert load_plan(json.loads(json.dumps(dump_plan(plan)))) == plan
