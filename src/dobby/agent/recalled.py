"""What was planned for a job the last time, for as long as all that was asked for it has the same answers.

A plan follows from what its kind asks of the checkout, from which programs the host has, and from the
request. The questions are kept with digests of their answers, and asked anew each time: that takes 1 ms,
while the kinds of environment, which give the plans, take 14 to import (`re` is half of that).

<job>/environment/plans.json    damaged or absent, everything is planned anew
"""

from __future__ import annotations

import os

from dobby.agent import durable, variables
from dobby.core import json
from dobby.core.digest import sha256
from dobby.core.plan import dump_plan, load_plan
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Optional

    from dobby.agent.choosing import Choice
    from dobby.agent.survey import Checkout
    from dobby.core import layout
    from dobby.core.interpreter import Wish
    from dobby.core.plan import Kind, Plan, Tools, Tree
    from dobby.core.request import Request


class Made(Record):
    """An environment as it was planned: `wanted` are the wishes for a Python, `tools` what the host had."""

    name: str
    dir: str
    wanted: tuple[Wish, ...]
    tools: Tools
    plan: Plan


class Recalled:
    """A kind whose plan is known: it is imported where the host's tools are others than then, and where
    something has to be built. `holds`: that was not so yet."""

    def __init__(self, told: Mapping[str, Any], name: str, load: Callable[[str], Kind]) -> None:
        self.FAMILY: str = told["family"]
        self.NEEDS: tuple[str, ...] = tuple(told["needs"])
        self.wanted = tuple(map(_wish, told["wanted"]))
        self.holds = True
        self._tools, self._plan, self._load = told["tools"], load_plan(told["plan"]), load
        self._name = name

    @property
    def HINTS(self) -> tuple[tuple[str, str], ...]:
        return self._load(self._name).HINTS

    def detect(self, tree: Tree) -> int:
        return self._load(self._name).detect(tree)

    def plan(self, tree: Tree, tools: Tools) -> Plan:
        if self._tools == _dump_tools(tools):
            return self._plan
        self.holds = False
        return self._load(self._name).plan(tree, tools)


def find(
    job: layout.Job,
    request: Request,
    trees: Sequence[Checkout],
    env: Mapping[str, str],
    load: Callable[[str], Kind],
) -> Optional[tuple[list[Choice], list[str]]]:
    """What `choosing.choose` gave then, each kind a `Recalled`; None where any answer is another one."""
    data = durable.read(_memo(job))
    if data is None:
        return None
    try:
        told = json.loads(data)
        if told["of"] != _of(request) or told["programs"] != _places(told["programs"], env):
            return None
        by_dir = {tree.dir: tree for tree in trees}
        for dir, questions in told["asked"]:
            if not all(_answer(by_dir[dir], what, about) == was for what, about, was in questions):
                return None
        chosen: list[Choice] = []
        for one in told["made"]:
            name = str(one["name"])
            chosen.append((name, Recalled(one, name, load), by_dir[one["dir"]]))
        return chosen, [str(said) for said in told["left_out"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def keep(
    job: layout.Job,
    request: Request,
    trees: Iterable[Checkout],
    env: Mapping[str, str],
    programs: Iterable[str],
    made: Sequence[tuple[Kind, Made]],
    left_out: Sequence[str],
) -> None:
    """For the next run. `programs` are those by which the kinds were chosen. Not where a container is
    made: what its engine is like is asked for at every run."""
    if any(one.plan.container for _, one in made):
        durable.discard(_memo(job))
        return
    content = {
        "of": _of(request),
        "programs": _places(programs, env),
        "asked": [[tree.dir, [[*q, _digest(said)] for q, said in tree.asked.items()]] for tree in trees],
        "made": [
            {
                "name": one.name,
                "family": kind.FAMILY,
                "needs": kind.NEEDS,
                "dir": one.dir,
                "wanted": [wish.to_dict() for wish in one.wanted],
                "tools": _dump_tools(one.tools),
                "plan": dump_plan(one.plan),
            }
            for kind, one in made
        ],
        "left_out": list(left_out),
    }
    data = durable.dump_json(content)
    if durable.read(_memo(job)) != data:
        durable.write_memo(_memo(job), data)


def _memo(job: layout.Job) -> str:
    return f"{job.environment}/plans.json"


def _of(request: Request) -> list[Any]:
    """An agent's directory is named by its digest: another version may plan otherwise."""
    return [os.path.abspath(__file__), list(request.environment), request.dir]


def _places(programs: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    return {name: variables.find(name, env) for name in programs}


def _answer(tree: Checkout, what: str, about: str) -> str:
    if what == "read":
        return _digest(tree.read(about))
    return _digest(tree.names(about) if what == "names" else tree.snapshot)


def _digest(answer: object) -> str:
    return sha256(repr(answer).encode()).hexdigest()


def _dump_tools(tools: Tools) -> dict[str, Any]:
    return {"found": tools.found, "identity": tools.identity, "where": tools.where}


def _wish(told: Mapping[str, str]) -> Wish:
    from dobby.core.interpreter import Wish

    return Wish(**told)
