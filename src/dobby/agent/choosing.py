"""Which environments a run gets: those that it names, or what its directory declares."""

from __future__ import annotations

import os
import posixpath

from dobby.agent import environments, survey, variables
from dobby.core import container
from dobby.core.errors import UsageError
from dobby.core.lazy import imported
from dobby.core.plan import LOCKED, NOT_DECLARED, PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dobby.core import layout
    from dobby.core.plan import Kind
    from dobby.core.request import Request

    Choice = tuple[str, Kind, survey.Checkout]  # a kind's name, itself, the directory that declares it

AUTO = "auto"
_PYTHON = "python"


def kinds() -> list[str]:
    """The known environments, by their modules' names."""
    names = os.listdir(os.path.dirname(environments.__file__))
    return sorted(n[:-3] for n in names if n.endswith(".py") and not n.startswith("_"))


def check_kind(name: str) -> None:
    """Raises UsageError, listing the known ones."""
    name = container.split(name)[0]
    if name != AUTO and name not in kinds():
        raise UsageError(f"environment {name!r} is unknown", f"one of {', '.join([AUTO, *kinds()])}")


def trees(job: layout.Job, request: Request) -> list[survey.Checkout]:
    """The run's directory and those above it, in which an environment may be declared."""
    snapshot = survey.snapshot_of(request)
    return [survey.Checkout(job.sandbox, dir, snapshot) for dir in _upwards(request.dir)]


def programs(request: Request) -> list[str]:
    """By which `choose` may have gone, beside what the directories hold."""
    needs = {need for name in kinds() for need in load(name).NEEDS} if AUTO in request.environment else ()
    return sorted({program for need in needs for program in need.split("|")})


def choose(
    request: Request, trees: Sequence[survey.Checkout], env: Mapping[str, str]
) -> tuple[list[Choice], list[str]]:
    """What to build, in order, and a sentence for each that is declared but left out.
    Raises PlanError."""
    chosen: list[Choice] = []
    left_out: list[str] = []
    for name in request.environment:
        if name == AUTO:
            found, left_out = auto(trees, env, {name: load(name) for name in kinds()})
        else:
            found = [_named(name, trees)]
        chosen += [choice for choice in found if choice[0] not in [c[0] for c in chosen]]
    return chosen, left_out


def _named(name: str, trees: Sequence[survey.Checkout]) -> Choice:
    """One that is asked for, with the nearest directory that declares it, else the top."""
    name = container.split(name)[0]
    if name not in kinds():
        raise PlanError(f"environment {name!r} is unknown: one of {', '.join([AUTO, *kinds()])}")
    kind = load(name)
    return name, kind, next((tree for tree in trees if kind.detect(tree)), trees[-1])


def auto(
    trees: Sequence[survey.Checkout], env: Mapping[str, str], loaded: Mapping[str, Kind]
) -> tuple[list[Choice], list[str]]:
    """The best of each family that the nearest declaring directory declares.

    The first one (Python's, where it is declared) must succeed. Those beside it join by a lock
    file alone, and where the host has their programs: a package.json for the linter says
    little about what the command needs."""
    for tree in trees:
        ranks = {name: kind.detect(tree) for name, kind in loaded.items()}
        best: dict[str, str] = {}
        # Of two locks the one whose name comes later: uv's, poetry's, pipenv's, as projects moved on.
        locked = sorted((name for name in ranks if ranks[name] == LOCKED), reverse=True)
        others = sorted(
            (n for n in ranks if NOT_DECLARED < ranks[n] < LOCKED), key=lambda n: (-ranks[n], n)
        )
        for name in (*locked, *others):
            family = loaded[name].FAMILY
            held = best.setdefault(family, name)
            if ranks[held] != LOCKED and _lacks(loaded[held], env) and not _lacks(loaded[name], env):
                best[family] = name
        if best:
            first = _first(best, ranks)
            beside = [n for n in sorted(best.values()) if n != first and ranks[n] == LOCKED]
            able = [n for n in beside if not _lacks(loaded[n], env)]
            said = [
                f"{n} is left out: the host has no {_lacks(loaded[n], env)} in PATH"
                for n in beside
                if n not in able
            ]
            return [(n, loaded[n], tree) for n in (first, *able)], said
    return [], []


def _first(best: Mapping[str, str], ranks: Mapping[str, int]) -> str:
    """The name of the kind to build first, of the best of each family."""
    return best.get(_PYTHON) or max(sorted(best.values()), key=lambda name: ranks[name])


def _lacks(kind: Kind, env: Mapping[str, str]) -> str:
    """The first of its programs that the host has not, in words; "" when all are there."""
    for need in kind.NEEDS:
        if not any(variables.find(program, env) for program in need.split("|")):
            return need.replace("|", " or ")
    return ""


def _upwards(dir: str) -> list[str]:
    """The directory and those above it, the top ("") last."""
    parts = [part for part in posixpath.normpath(dir).split("/") if part != "."] if dir else []
    return ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]


def load(name: str) -> Kind:
    module: Kind = imported(f"{environments.__name__}.{name}")
    return module
