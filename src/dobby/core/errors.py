"""Every error that a person may meet, with the exit code that scripts may rely on.

    DobbyError            something was not done; says what, where and how to mend it   1
      NotFound            no such run, label or file                                    1
      UsageError          the words or files given are wrong                            2
      Unreachable         no session with the host could be had                         69
      Bug                 dobby itself is wrong                                         70
      Busy                the label is held by another run                              75

An error crosses the wire as `{"kind", "message", "hint"}` (`to_wire`, `from_wire`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DobbyError(Exception):
    """Something was not done. `message` is one sentence; `hint` says how to mend it."""

    kind = "failed"
    exit_code = 1

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def to_wire(self) -> dict[str, Any]:
        """`kind`, `message`, `hint` and any further details."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint, **self.details}


class NotFound(DobbyError):
    """There is no such run, label or file."""

    kind = "not_found"


class UsageError(DobbyError):
    """The arguments, settings or files given are wrong."""

    kind = "usage"
    exit_code = 2


class Unreachable(DobbyError):
    """No session with the host could be had, or it was lost."""

    kind = "unreachable"
    exit_code = 69


class Bug(DobbyError):
    """dobby itself is wrong: an unexpected error, shown with where it happened."""

    kind = "bug"
    exit_code = 70


class Busy(DobbyError):
    """The label is held. `details["holder"]` is that run's view."""

    kind = "busy"
    exit_code = 75


KINDS: dict[str, type[DobbyError]] = {
    c.kind: c for c in (DobbyError, NotFound, UsageError, Unreachable, Bug, Busy)
}


def from_wire(wire: dict[str, Any]) -> DobbyError:
    """The error that `to_wire` described; an unknown kind is a plain DobbyError."""
    details = {k: v for k, v in wire.items() if k not in ("kind", "message", "hint")}
    cls = KINDS.get(wire.get("kind", ""), DobbyError)
    return cls(str(wire.get("message", "the host gave no reason")), str(wire.get("hint", "")), **details)
