"""A run without a checkout (`--repo URL`): the host fetches the revision with its own access."""

from __future__ import annotations

from dobby.client import asking
from dobby.core.errors import UsageError
from dobby.core.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.client.asking import Source
    from dobby.client.hosts import Hosts


def source_by_url(
    hosts: Hosts,
    environ: Mapping[str, str],
    url: str,
    revision: str,
    flags: Mapping[str, Any],
    say: Callable[[str], None],
    project: str = "",
) -> Source:
    """What `revision` of `url` is. `project` is its name where that is known; else it is found,
    which a setting of the revision itself may decide. A login within an http URL goes to the
    host beside it, and is stored nowhere. Raises UsageError before any connection, DobbyError."""
    from dobby.core import urls

    if revision == ".":
        raise UsageError("`.` is a working tree, and --repo has none", "name a branch, tag or commit")
    kept, user, password = urls.split_login(urls.check_ordinary(url, "--repo"))
    options = asking.options_of(environ, flags, {}, revision)
    origin = urls.without_user_info(kept)
    name = check_name(project, "project") if project else asking.project_name(options, origin, "project")
    args = {"repo": kept, "login": [user, password], "revision": revision, "project": name}
    answer = hosts.call(options.host, "resolve", args, more=True)
    if not project:
        chosen = asking.options_of(environ, flags, answer["files"], revision)
        if asking.project_name(chosen, origin, "project") != name:
            args["project"] = asking.project_name(chosen, origin, "project")
            answer = hosts.call(options.host, "resolve", args, more=True)
    for notice in answer["notices"]:
        say(notice)
    return asking.Source(
        checkout=None,
        snapshot=None,
        commit=answer["commit"],
        branch=answer["branch"],
        subject=answer["subject"],
        origin=origin,
        roots=tuple(answer["roots"]),
        files=answer["files"],
    )
