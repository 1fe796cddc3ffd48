"""The lines of a log that people are told: taken while the forwarded values are still known, so that
they can be masked, and kept beside the run."""

from __future__ import annotations

import os

from dobby.agent import durable, store
from dobby.core import excerpt, json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

    from dobby.agent.store import Stored
    from dobby.core import layout
    from dobby.core.excerpt import Excerpt


def take(stored: Stored, values: Optional[Mapping[str, str]], begin: int = 0) -> Excerpt:
    """Of the log from the byte `begin` on. `values` are the forwarded ones; None where they are no
    longer known: then there are no lines of a run that has any. Raises OSError."""
    if values is None and stored.request.forward:
        return excerpt.Excerpt()
    try:
        fd = os.open(stored.run.log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return excerpt.Excerpt()
    try:
        size = os.fstat(fd).st_size
        first = max(begin if begin <= size else 0, size - excerpt.MOST_BYTES)
        data = os.pread(fd, size - first, first)
    finally:
        os.close(fd)
    return excerpt.take(data, is_cut=first > begin, secrets=(values or {}).values())


def keep(stored: Stored, values: Optional[Mapping[str, str]], begin: int) -> None:
    """Once, if that can be: a run becomes final all the same."""
    try:
        found = take(stored, values, begin)
        if found.tail:
            durable.create(stored.run.excerpt, durable.dump_json(found.to_dict()))
    except OSError as error:
        store.note(stored.run, f"no lines of the log could be kept for notices: {error.strerror}")


def read(run: layout.Run) -> Excerpt:
    """What was kept; nothing where nothing was, or what stands there is damaged."""
    try:
        content = json.loads(durable.read(run.excerpt) or b"{}")
        return excerpt.Excerpt(tail=tuple(content["tail"]), error_line=str(content["error_line"]))
    except (OSError, ValueError, KeyError, TypeError):
        return excerpt.Excerpt()
