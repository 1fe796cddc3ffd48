"""What the environments have in common that are a virtual environment of Python's."""

from __future__ import annotations

from dobby.core.plan import Plan, PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Layer, Tools, Tree


def locked(tree: Tree, file: str, program: str) -> str:
    """The text of the lock file that `program lock` writes. Raises PlanError where there is none."""
    text = tree.read(file)
    if text is None:
        raise PlanError(
            f"there is no {file} in {tree.dir or 'the top directory'}: run `{program} lock` and commit it"
        )
    return text


def python3(tools: Tools) -> str:
    """The interpreter to make it with. Raises PlanError where the host has none."""
    if "python3" not in tools.found:
        raise PlanError(
            "the host has no python3 in PATH: install it, or name its directory "
            "in `path` of the host's settings"
        )
    return tools.found["python3"]


def path(tools: Tools) -> str:
    """Where it lies."""
    return f"{tools.where}/venv"


def plan(tools: Tools, layers: tuple[Layer, ...], variables: tuple[tuple[str, str], ...] = ()) -> Plan:
    """`layers` make it, and it is active for the command, `variables` set beside its own."""
    venv = path(tools)
    return Plan(
        layers=layers,
        path=(f"{venv}/bin",),
        variables=(("VIRTUAL_ENV", venv), *variables),
        unset=("PYTHONHOME",),
        proof=(f"{venv}/bin/python",),
    )
