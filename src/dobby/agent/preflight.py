"""What a host makes sure of before it takes a run: what would fail in an hour is refused now.

All of it in the session that launches, and without a process where nothing needs one.
"""

from __future__ import annotations

import os

from dobby.agent import room, variables
from dobby.core import container
from dobby.core.errors import DobbyError
from dobby.core.host_settings import LEAST_INODES
from dobby.core.sizes import size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request


def check(home: str, request: Request, settings: HostSettings, say: Callable[[str], None]) -> None:
    """Raises DobbyError; with the request's `force` the reasons are said, and it goes on."""
    for reason in _reasons(home, request, settings):
        if not request.force:
            raise reason
        say(f"warning: {reason.message}")


def _reasons(home: str, request: Request, settings: HostSettings) -> Iterator[DobbyError]:
    disk = room.of_disk(home)
    free, inodes = disk["free_bytes"] or 0, disk["free_inodes"]
    where, hint = f"in {home}", "`dobby clean --all` makes room there, --force goes on"
    if free < settings.min_free_mb * 1_000_000:
        yield DobbyError(
            f"host {request.host} has {free / 1e6:.0f} MB of disk left {where}, "
            f"less than the {settings.min_free_mb} MB that a run must find (min_free_mb)",
            hint,
        )
    if inodes is not None and inodes < LEAST_INODES:
        yield DobbyError(f"host {request.host} has room for {inodes} more files {where}", hint)
    free_memory = room.of_memory().get("free_bytes") if request.memory_bytes else None
    if free_memory is not None and free_memory < (request.memory_bytes or 0):
        yield DobbyError(
            f"host {request.host} has {size_text(free_memory)} of memory free, "
            f"less than the {size_text(request.memory_bytes or 0)} that the run asks for (--memory)",
            "wait until others are done (dobby ps), ask for less, or --force",
        )
    # A container's command has the image's programs, not the host's.
    inside = any(container.split(name)[0] == container.KIND for name in request.environment)
    missing = lacking(request.requires, settings) if request.requires and not inside else []
    if missing:
        by = f" (required by {request.requires_from})" if request.requires_from else ""
        yield DobbyError(
            f"host {request.host} lacks {' and '.join(missing)}{by}",
            "install it there, or name its directory in the host's settings (path); --force goes on",
        )


def lacking(programs: tuple[str, ...], settings: HostSettings) -> list[str]:
    """Those that a run would not find in its PATH. Raises DobbyError where that cannot be known."""
    try:
        env = variables.of_host(settings, os.environ)
    except OSError as error:
        raise DobbyError(str(error), "mend `profile` in the host's settings") from None
    return [name for name in programs if not variables.find(name, env)]
