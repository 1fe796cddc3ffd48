"""What a host checks before it takes a run: its settings, and that the project is the same."""

from __future__ import annotations

import json

from dobby.agent import durable, locks
from dobby.core import layout
from dobby.core.errors import DobbyError
from dobby.core.host_settings import parse_host_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request


def read_settings(home: str) -> HostSettings:
    """The host's own config.toml; defaults where there is none. Raises DobbyError."""
    path = layout.settings(home)
    text = (durable.read(path) or b"").decode("utf-8", "replace")
    try:
        return parse_host_settings(text)
    except ValueError as error:
        raise DobbyError(f"the host's settings {path}: {error}", "mend that line on the host") from None


def admit(project: layout.Project, request: Request) -> None:
    """Record the repository's root commits and origin, and refuse one that shares none of those
    known: two projects of one name would mix their objects and labels.

    A shallow clone, which cannot know its roots, is admitted by its origin."""
    data = durable.read(project.identity)
    known = json.loads(data) if data else None
    if known is None:
        durable.make_dirs(project.root)
        fd = locks.take(project.lock, wait=True)
        try:
            if durable.read(project.identity) is None:
                _record(project, [], [], request)
                return
        finally:
            if fd is not None:
                locks.release(fd)
        admit(project, request)
        return
    roots, origins = known["roots"], known["origins"]
    same = bool(set(roots) & set(request.roots)) or (request.origin and request.origin in origins)
    nothing_known = not roots and not origins
    if not (same or nothing_known or request.force):
        raise DobbyError(
            f"project {project.project} on this host is another repository "
            f"(origin {', '.join(origins) or 'unknown'}): it shares no root commit with this one",
            "give this one a name of its own ([tool.dobby] name = …), or use --force if it is the same",
        )
    new_roots = not set(request.roots) <= set(roots)
    if new_roots or (request.origin and request.origin not in origins):
        _record(project, roots, origins, request)


def _record(project: layout.Project, roots: list[str], origins: list[str], request: Request) -> None:
    content = {
        "roots": sorted({*roots, *request.roots}),
        "origins": sorted({*origins, *([request.origin] if request.origin else [])}),
    }
    durable.replace(project.identity, durable.dump_json(content))
