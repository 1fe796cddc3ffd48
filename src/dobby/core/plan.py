"""How an environment is built, as a value: what a file in agent/environments/ answers.

Such a file is pure. It defines

    NAME: str                                      the kind, e.g. "uv"
    def detect(tree: Tree) -> bool                 whether this kind is declared here
    def plan(tree: Tree, tools: Tools) -> Plan     what to do; raises PlanError

and is found by its module's name. `tree` is the directory that declares the dependencies.
"""

from __future__ import annotations

from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Protocol

    class Tree(Protocol):
        """Read access to the sandbox, at and below one directory of it."""

        path: str  # absolute
        commit_tree: str  # id of the whole checkout: changes when any file does

        def names(self, dir: str = "") -> list[str]:
            """Names in a directory, sorted; directories end in "/"; [] where there is none."""

        def read(self, path: str) -> Optional[str]:
            """A file's text, None where there is none."""


class PlanError(Exception):
    """This project cannot be prepared in this way: one sentence that says why."""


class Tools(Record):
    """What the host has. `found` maps a program's name to its absolute path;
    `python` is the interpreter (absolute) and `python_id` its version and platform;
    `where` is the directory in which the environment is to be built (absolute, private)."""

    found: dict[str, str]
    python: str
    python_id: str
    where: str


class Layer(Record):
    """One part of an environment, built when `key` (the whole recipe, as text) has changed.

    A layer that is built anew builds the ones after it anew too. `fresh`: what `where` holds is
    removed first; else the tool brings it up to date itself. Each step is an argv, run in
    `cwd` with `variables` added."""

    name: str
    key: str
    steps: tuple[tuple[str, ...], ...]
    cwd: str
    variables: tuple[tuple[str, str], ...] = ()
    fresh: bool = True


class Plan(Record):
    """`layers` in order; then, for the command, `path` in front of PATH, `variables` set, and
    the names in `unset` removed."""

    kind: str
    layers: tuple[Layer, ...]
    path: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
