"""The laptop's tags in a cache: that it has them all is written down, so that git is asked once for each
set of them."""

from __future__ import annotations

from dobby.agent import durable, objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dobby.core import layout
    from dobby.core.request import Request


def are_known(project: layout.Project, request: Request) -> bool:
    """Whether the same tags were there, and kept, the last time."""
    return durable.read(_note(project)) == _text(request)


def note(project: layout.Project, request: Request, env: Mapping[str, str]) -> None:
    """All of the request's tags are there: they are kept from here on."""
    keep(project.cache, (id for _, id in request.tags), env)
    durable.replace(_note(project), _text(request))


def keep(cache: str, ids: Iterable[str], env: Mapping[str, str]) -> frozenset[str]:
    """Those that are there; the annotated ones, which no commit leads to, are kept from here on."""
    kinds = objects.kinds(cache, dict.fromkeys(ids), env)
    objects.pin_tags(cache, (id for id, kind in kinds.items() if kind == "tag"))
    return frozenset(kinds)


def _note(project: layout.Project) -> str:
    return f"{project.root}/tags"


def _text(request: Request) -> bytes:
    return "".join(f"{name} {id}\n" for name, id in request.tags).encode("utf-8", "surrogateescape")
