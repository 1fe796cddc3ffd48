"""The plans of poetry and pipenv, exactly, and which requirements are installed where there are several."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree, tools

from dobby.agent.environments import pipenv, poetry, uv
from dobby.core import recipe, requirements
from dobby.core.plan import LOCKED, NOT_DECLARED, Layer, Plan, PlanError

ENV = "/env/venv"
POETRY = '[tool.poetry]\nname = "x"\npackage-mode = false\n[tool.poetry.dependencies]\nsix = "^1"\n'
COPIED = '[package.source]\ntype = "directory"\nurl = "libs/a"\n'


def test_poetry() -> None:
    tree = DictTree({"poetry.lock": "lock", "pyproject.toml": POETRY})
    plan = poetry.plan(tree, tools("poetry", "python3"))
    (layer,) = plan.layers
    assert plan == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=layer.key,
                steps=(
                    ("/bin/python3", "-I", "-m", "venv", "--without-pip", ENV),
                    ("/bin/poetry", "install", "--sync", "--no-interaction", "--no-ansi"),
                ),
                cwd="/box",
                variables=(
                    ("VIRTUAL_ENV", ENV),
                    ("POETRY_VIRTUALENVS_CREATE", "true"),
                    ("POETRY_VIRTUALENVS_IN_PROJECT", "false"),
                    ("POETRY_NO_INTERACTION", "1"),
                    ("POETRY_KEYRING_ENABLED", "false"),
                    ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
                ),
                fresh=False,
            ),
        ),
        path=(f"{ENV}/bin",),
        variables=(("VIRTUAL_ENV", ENV),),
        unset=("PYTHONHOME",),
        proof=(f"{ENV}/bin/python",),
    )


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({}, False),
        ({"a.py": "new"}, False),
        ({"poetry.lock": "other"}, True),
        ({"pyproject.toml": POETRY.replace("^1", "^2")}, True),
        ({"pyproject.toml": POETRY.replace("package-mode = false\n", "")}, True),
    ],
)
def test_what_changes_poetrys_environment(files: dict[str, str], changed: bool) -> None:
    base = {"poetry.lock": "lock", "pyproject.toml": POETRY}
    one, two = (
        poetry.plan(DictTree(f, snapshot=s), tools("poetry", "python3")).layers[0].key
        for f, s in ((base, "s1"), ({**base, **files}, "s2"))
    )
    assert (one != two) is changed


def test_a_directory_that_poetry_copies_is_never_stale() -> None:
    files = {"poetry.lock": COPIED, "pyproject.toml": POETRY}
    one, two = (
        poetry.plan(DictTree(files, snapshot=s), tools("poetry", "python3")).layers[0] for s in ("s1", "s2")
    )
    assert one.fresh
    assert one.key != two.key


def test_pipenv() -> None:
    tree = DictTree({"app/Pipfile": "p", "app/Pipfile.lock": "{}"}, "app")
    plan = pipenv.plan(tree, tools("pipenv", "python3"))
    (layer,) = plan.layers
    assert layer.steps == (("/bin/pipenv", "install", "--deploy", "--python", "/bin/python3"),)
    assert layer.tidy == (("/bin/pipenv", "clean"),)
    assert dict(layer.variables) == {
        "PIPENV_CUSTOM_VENV_NAME": "venv",
        "WORKON_HOME": "/env",
        "PIPENV_VENV_IN_PROJECT": "0",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_PIPFILE": "/box/app/Pipfile",
        "PIPENV_NOSPIN": "1",
        "PIPENV_YES": "1",
        "PIPENV_DONT_LOAD_ENV": "1",
        "NO_COLOR": "1",
        "COLUMNS": "400",
    }
    assert (layer.cwd, layer.fresh, plan.path) == ("/box/app", False, (f"{ENV}/bin",))


def test_a_lock_of_pipenv_with_local_paths_goes_by_the_commit() -> None:
    files = {"Pipfile": "", "Pipfile.lock": '{"default": {"a": {"path": "./a", "editable": true}}}'}
    one, two = (
        pipenv.plan(DictTree(files, snapshot=s), tools("pipenv", "python3")).layers[0] for s in ("s1", "s2")
    )
    assert one.fresh
    assert one.key != two.key


def test_without_a_lock_they_are_not_chosen_and_say_what_to_do() -> None:
    tree = DictTree({"Pipfile": "", "pyproject.toml": POETRY})
    assert (poetry.detect(tree), pipenv.detect(tree)) == (NOT_DECLARED, NOT_DECLARED)
    with pytest.raises(PlanError, match="run `poetry lock` and commit it"):
        poetry.plan(tree, tools("poetry", "python3"))
    with pytest.raises(PlanError, match="run `pipenv lock` and commit it"):
        pipenv.plan(tree, tools("pipenv", "python3"))


def test_settings_of_uv_count_as_uvs() -> None:
    project = '[project]\nname = "x"\nversion = "1"\n[tool.uv]\n'
    assert uv.detect(DictTree({"pyproject.toml": project})) == LOCKED


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ("", ""),
        ("requirements.txt requirements/base.txt", "requirements.txt"),
        ("requirements/base.txt requirements/dev.txt", "requirements/base.txt"),
        ("requirements/prod.txt requirements/dev.txt", "requirements/prod.txt"),
        ("requirements/dev.txt", "requirements/dev.txt"),
        ("requirements/a.txt requirements/b.txt", ""),
        ("requirements-linux.txt", "requirements-linux.txt"),
        ("requirements-a.txt requirements-b.txt", ""),
        ("requirements/dev.txt setup.py", ""),
    ],
)
def test_which_requirements_are_meant(names: str, first: str) -> None:
    tree = DictTree(dict.fromkeys(names.split(), ""))
    assert requirements.entry(tree, sure="setup.py" in names) == first
    found = recipe.read(tree)
    assert (found.requirements if found else "") == first


def test_constraints_that_requirements_name_count() -> None:
    files = {"requirements/base.txt": "-c ../constraints.txt\nsix\n"}
    keys = []
    for text in ("six==1", "six==2"):
        (layer,) = uv.plan(DictTree({**files, "constraints.txt": text}), tools("uv")).layers
        assert layer.steps[1][-2:] == ("-r", "requirements/base.txt")
        keys.append(layer.key)
    assert keys[0] != keys[1]
