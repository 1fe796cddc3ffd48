"""How an environment is built, as a value: what a file in agent/environments/ answers.

Such a file is pure, is found by its module's name, and is a `Kind`. It looks at a `Tree` and
answers a `Plan`; whoever holds the label's lock carries it out (agent/layers.py).
"""

from __future__ import annotations

from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Protocol

    from dobby.core.container import Container, Engine

    class Tree(Protocol):
        """Read access to the sandbox, from one directory of it. Paths are relative to that
        directory; ".." leads up to the sandbox's top, and no further."""

        path: str  # the directory, absolute
        dir: str  # the same, relative to the top; "" is the top

        @property
        def snapshot(self) -> str:
            """Names all that is checked out: another commit or tag is another text."""

        def names(self, dir: str = "") -> list[str]:
            """Names in a directory, sorted; directories end in "/"; [] where there is none."""

        def read(self, path: str) -> Optional[str]:
            """A file's text, None where there is none."""

    class Kind(Protocol):
        """A file in agent/environments/.

        `FAMILY` is what it provides ("python", "r", "node", "container", "none"): of each family
        `auto` takes one. `NEEDS` are the programs without which the kind is not chosen unasked,
        unless its own lock file is there; "a|b" is one of the two. `HINTS` are pairs of a text that
        a failed step may have said, and the sentence that says how to mend it."""

        FAMILY: str
        NEEDS: tuple[str, ...]

        @property
        def HINTS(self) -> tuple[tuple[str, str], ...]: ...

        def detect(self, tree: Tree) -> int:
            """How surely this kind is declared in this very directory: NOT_DECLARED … LOCKED."""

        def plan(self, tree: Tree, tools: Tools) -> Plan:
            """What to do. Raises PlanError."""


NOT_DECLARED = 0
POSSIBLE = 1  # the files can be installed in this way
PREFERRED = 2  # the same, and better than by others
LOCKED = 3  # a lock file of this kind
WHEN_ASKED = -1  # it is declared, but `auto` never takes it


class PlanError(Exception):
    """This project cannot be prepared in this way: one sentence that says why."""


class Tools(Record):
    """What the host has. `found` maps a program's name to its absolute path, "python3" to the
    interpreter itself; `identity` is another text when one of them, the platform or a
    variable that steers them is another; `where` is the directory to build in (absolute)."""

    found: dict[str, str]
    identity: str
    where: str
    argument: str = ""  # what stood behind the colon of the environment's name
    engine: Optional[Engine] = None  # what runs containers; looked for where the kind needs one
    run_id: str = ""


class Layer(Record):
    """One part of an environment, built when `key` (the whole recipe, as text) has changed.

    A layer that is built anew builds the ones after it anew too. `fresh`: what `where` holds
    is removed first; else the tool brings it up to date itself, and the steps in `tidy` follow, which
    an environment that is made anew has no need of. Each step is an argv, run in
    `cwd` with `variables` added."""

    name: str
    key: str
    steps: tuple[tuple[str, ...], ...]
    cwd: str
    variables: tuple[tuple[str, str], ...] = ()
    fresh: bool = True
    tidy: tuple[tuple[str, ...], ...] = ()


class Plan(Record):
    """`layers` in order; then, for the command, `path` in front of PATH, `variables` set, and
    the names in `unset` removed. `proof` are files without which nothing that was built
    counts (an interpreter that the host has removed), `answers` are argvs that must exit with 0 for
    the same reason. Set-up and command run in `container`, where there is one; `built_image` is
    that image's name where it is the job's own.

    `hook` is an argv that prints shell text: what it changes in the environment is added.
    `lodged` are directories that the build makes in the checkout and that are the job's, not a
    run's; relative to the sandbox's top, and "DIR/**/NAME" is every NAME below DIR."""

    layers: tuple[Layer, ...]
    path: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()
    hook: tuple[str, ...] = ()
    lodged: tuple[str, ...] = ()
    answers: tuple[tuple[str, ...], ...] = ()
    container: Optional[Container] = None
    built_image: str = ""


def dump_plan(plan: Plan) -> dict[str, Any]:
    """Plain JSON values. Not of one with a container, which holds what its engine was like."""
    return {**plan.to_dict(), "layers": [layer.to_dict() for layer in plan.layers]}


def load_plan(told: dict[str, Any]) -> Plan:
    """What `dump_plan` gave, by way of JSON. Raises KeyError, TypeError."""
    layers = tuple(Layer(**_frozen(layer)) for layer in told["layers"])
    return Plan(**{**_frozen(told), "layers": layers})


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in fields.items()}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def key_text(*parts: tuple[str, str]) -> str:
    """Name and content of all that a layer depends on, as one text. The lengths keep one
    part's content from being taken for another part."""
    return "".join(f"== {name} {len(content)}\n{content}\n" for name, content in parts)
