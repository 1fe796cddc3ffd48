"""Run any branch, or the working tree as it stands, on another machine with one command.

from dobby import Client
run = Client().run("my-branch", "python etl.py --all", host="etl-box")
row = Client().wait(run.label, run=run.run_id)
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = [
    "Bug",
    "Busy",
    "Client",
    "DobbyError",
    "Listing",
    "NotFound",
    "Run",
    "Unreachable",
    "UsageError",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.client import Client, Listing, Run
    from dobby.core.errors import Bug, Busy, DobbyError, NotFound, Unreachable, UsageError

_CLIENT = ("Client", "Listing", "Run")


def __getattr__(name: str) -> object:
    """Names are imported when they are used: `dobby --help` needs none of them (PEP 562)."""
    if name in _CLIENT:
        from dobby import client

        return getattr(client, name)
    if name in __all__:
        from dobby.core import errors

        return getattr(errors, name)
    raise AttributeError(f"module 'dobby' has no attribute {name!r}")
