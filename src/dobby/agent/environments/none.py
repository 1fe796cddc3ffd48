"""Nothing is installed: the command finds what the host has."""

from __future__ import annotations

from dobby.core.plan import NOT_DECLARED, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Tools, Tree

FAMILY = "none"
NEEDS: tuple[str, ...] = ()
HINTS: tuple[tuple[str, str], ...] = ()


def detect(tree: Tree) -> int:
    return NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    return Plan(layers=())
