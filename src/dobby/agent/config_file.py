"""The host's config.toml, changed by dobby itself: one table, the rest as people left it."""

from __future__ import annotations

import os

from dobby.agent import durable, locks
from dobby.core import layout
from dobby.core.errors import DobbyError, UsageError
from dobby.core.host_settings import parse_host_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def edit(home: str, change: Callable[[str], str]) -> None:
    """Replace the text by what `change` makes of it, durably, 0600. Two at once do not lose
    each other's. Raises UsageError where the file, before or after, is wrong."""
    durable.make_dirs(home)
    path = os.path.realpath(layout.settings(home))
    fd = locks.take(layout.settings_lock(home), wait=True)
    try:
        try:
            text = (durable.read(path) or b"").decode()
            after = change(text)
        except ValueError as error:  # no UTF-8 is one too
            raise DobbyError(f"{path}: {error}", "edit that file on the host") from None
        parse_host_settings(after)
        durable.replace(path, after.encode())
    except UsageError as error:
        raise DobbyError(f"{path} on this host: {error.message}", "mend that line on the host") from None
    finally:
        if fd is not None:
            locks.release(fd)
