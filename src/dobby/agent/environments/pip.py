"""Python's own venv and pip, from requirements, pyproject.toml or setup.py."""

from __future__ import annotations

from dobby.core import recipe, venv
from dobby.core.plan import NOT_DECLARED, POSSIBLE, Layer, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Plan, Tools, Tree
    from dobby.core.recipe import Recipe

FAMILY = "python"
NEEDS = ("python3",)

_NO_VENV = (
    "python3 on the host cannot make environments: install python3-venv there "
    "(Debian, Ubuntu: `apt install python3-venv`), or uv, which does without"
)
HINTS = (
    ("ensurepip is not", _NO_VENV),
    ("No module named ensurepip", _NO_VENV),
    ("No module named venv", _NO_VENV),
)

# -I: a checkout may hold a venv.py or a logging.py, which `-m` alone would take for Python's own.
_MODULE = ("-I", "-m")
# PIP_USE_PEP517: setup.py's own editable install would point at an egg-info in the checkout.
_QUIET = (("PIP_DISABLE_PIP_VERSION_CHECK", "1"), ("PIP_NO_INPUT", "1"), ("PIP_USE_PEP517", "1"))
_WITH_EDITABLES = "pip>=21.3"  # the first that makes them without setup.py (PEP 660)


def detect(tree: Tree) -> int:
    return POSSIBLE if recipe.is_declared(tree) else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    python = venv.python3(tools)
    wanted = recipe.read(tree)
    if wanted is None:
        raise PlanError(
            f"pip finds nothing to install in {tree.dir or 'the top directory'}: "
            "no requirements, no project in pyproject.toml, no setup.py"
        )
    return venv.plan(tools, _layers(tree, tools, wanted, python))


def _layers(tree: Tree, tools: Tools, wanted: Recipe, python: str) -> tuple[Layer, ...]:
    where = venv.path(tools)
    install = (f"{where}/bin/python", *_MODULE, "pip", "install")
    steps: list[tuple[str, ...]] = [(python, *_MODULE, "venv", where)]
    if any(local.editable for local in wanted.locals):
        steps.append((*install, _WITH_EDITABLES))
    if wanted.requirements:
        steps.append((*install, "-r", wanted.requirements))
    if wanted.dependencies:
        steps.append((*install, *wanted.dependencies))
    dependencies = Layer(
        name="dependencies",
        key=key_text(("pip", tools.identity), ("dependencies", wanted.dependencies_key)),
        steps=tuple(steps),
        cwd=tree.path,
        variables=_QUIET,
    )
    words = [w for local in wanted.locals for w in ((*("-e",) * local.editable, local.word))]
    # pip installs what lies in a directory anew each time, also where it is a dependency.
    if wanted.resolve or wanted.path_sources:
        step = (*install, *words, *wanted.dependencies)
    else:
        step = (*install, "--no-deps", *words)
    if not words and not wanted.path_sources:
        return (dependencies,)
    project = Layer(
        name="project",
        key=wanted.locals_key,
        steps=(step,),
        cwd=tree.path,
        variables=_QUIET,
        fresh=False,
    )
    return (dependencies, project)
