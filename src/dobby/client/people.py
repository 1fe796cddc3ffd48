"""Who had a hand in a run, as its callers said: on a shared account nobody can tell them apart."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def of_run(row: Mapping[str, Any]) -> set[str]:
    """Who launched it, and who stopped it, by what they said and by their logins ("ann (alice)")."""
    names = {str(row.get("user") or ""), str(row.get("login") or "")}
    said, _, login = str((row.get("cause") or {}).get("by") or "").partition(" (")
    return {*names, said, login.rstrip(")")} - {""}
