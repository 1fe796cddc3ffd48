"""What a host checks before it takes a run: its settings, and that the project is the same."""

from __future__ import annotations

from dobby.agent import durable, locks
from dobby.core import json, layout
from dobby.core.errors import DobbyError, UsageError
from dobby.core.host_settings import parse_host_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request


def read_settings(home: str) -> HostSettings:
    """The host's own config.toml; defaults where there is none. Raises DobbyError."""
    path = layout.settings(home)
    text = (durable.read(path) or b"").decode("utf-8", "replace")
    try:
        return parse_host_settings(text)
    except UsageError as error:
        raise DobbyError(f"{path} on this host: {error.message}", "mend that line on the host") from None


def check_environment(request: Request) -> None:
    """Raises UsageError for a kind of environment that this agent does not have, and for kinds that do
    not go together."""
    if request.environment != ("auto",):
        from dobby.agent import choosing
        from dobby.core import container

        for kind in request.environment:
            choosing.check_kind(kind)
        container.check(request.environment)


def admit(project: layout.Project, request: Request) -> None:
    """Record the repository's root commits and origin, and refuse one that shares none of those
    known: two projects of one name would mix their objects and labels.

    A shallow clone, which cannot know its roots, is admitted by its origin."""
    known = _read_identity(project)
    if known is None or _is_news(known, request):
        durable.make_dirs(project.root)
        fd = locks.take(project.lock, wait=True)
        try:
            known = _read_identity(project) or {"roots": [], "origins": []}
            _check(project, known, request)
            _record(project, known, request)
        finally:
            if fd is not None:
                locks.release(fd)
        return
    _check(project, known, request)


def _read_identity(project: layout.Project) -> Optional[dict[str, list[str]]]:
    """What is known of the project's repository, None where nothing is. Raises DobbyError."""
    data = durable.read(project.identity)
    if data is None:
        return None
    try:
        content = json.loads(data)
        known = {"roots": list(content["roots"]), "origins": list(content["origins"])}
        if not all(isinstance(word, str) for words in known.values() for word in words):
            raise ValueError
        return known
    except (ValueError, KeyError, TypeError):
        raise DobbyError(
            f"unreadable: {project.identity}", "remove it: the next run of the project writes it anew"
        ) from None


def _is_news(known: dict[str, list[str]], request: Request) -> bool:
    new_origin = request.origin and request.origin not in known["origins"]
    return bool(new_origin) or not set(request.roots) <= set(known["roots"])


def _check(project: layout.Project, known: dict[str, list[str]], request: Request) -> None:
    roots, origins = known["roots"], known["origins"]
    same = bool(set(roots) & set(request.roots)) or (request.origin and request.origin in origins)
    nothing_known = not roots and not origins
    if not (same or nothing_known or request.force):
        raise DobbyError(
            f"project {project.project} on this host is another repository "
            f"(origin {', '.join(origins) or 'unknown'}): it shares no root commit with this one",
            "give this one a name of its own ([tool.dobby] name = …), or use --force if it is the same",
        )


def _record(project: layout.Project, known: dict[str, list[str]], request: Request) -> None:
    content = {
        "roots": sorted({*known["roots"], *request.roots}),
        "origins": sorted({*known["origins"], *([request.origin] if request.origin else [])}),
    }
    durable.replace(project.identity, durable.dump_json(content))
