"""The same request once more: on the revision's present tip, or on its own commit."""

from __future__ import annotations

from dobby.client import asking, including
from dobby.client.forwarding import forwarded, read_env_file
from dobby.core import request as rq
from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.client.asking import Asked, Source
    from dobby.client.hosts import Hosts
    from dobby.config import Options
    from dobby.core.request import Request


def ask_again(
    found: dict[str, Any],
    *,
    cwd: str,
    environ: Mapping[str, str],
    same: bool,
    words: list[str],
    env_file: str | None,
    force: bool,
    hosts: Hosts,
    settings: Options,
    say: Callable[[str], None],
) -> tuple[Asked, Source]:
    """`found` is the agent's answer to `show`. Raises UsageError: outside a checkout without
    `same`, and for a forwarded value that is not set here."""
    before, row = rq.parse_request(found["request"]), found["run"]
    values, variables = _values(before, words, env_file, environ)
    source = _own(before) if same else _tip(before, row["host"], cwd, environ, force, hosts, say)
    changes: dict[str, Any] = {} if same else asking.of_source(source, environ)
    if source.commit != before.commit:
        say(f"{before.revision}: {before.commit[:12]} -> {source.commit[:12]}")
    request = before.replace(
        run_id=asking.new_run_id(),
        host=row["host"],
        restart_of=row["run_id"],
        if_running="replace",
        forward=tuple(sorted(values)),
        variables=tuple(sorted({**dict(before.variables), **variables}.items())),
        force=force or before.force,
        **changes,
        **asking.of_caller(environ),
        **asking.of_owner(settings, source.checkout),
    )
    asked = asking.Asked(request=request, values=values, host=row["host"])
    return including.bring(asked, source, before.include, say), source


def _values(
    before: Request, words: list[str], env_file: str | None, environ: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    values, variables = forwarded(words, read_env_file(env_file) if env_file else {}, environ)
    for name in before.forward:
        if name not in values and name not in variables:
            if name not in environ:
                raise UsageError(
                    f"{name} was forwarded to that run and is not set here: values are not stored",
                    f"export {name}=…, or name it in --env-file",
                )
            values[name] = environ[name]
    return values, variables


def _own(before: Request) -> Source:
    """The commit is on the host already; no checkout is asked."""
    return asking.Source(
        checkout=None,
        snapshot=None,
        commit=before.commit,
        branch=before.branch,
        subject=before.subject,
        origin=before.origin,
        roots=before.roots,
        files={},
    )


def _tip(
    before: Request,
    host: str,
    cwd: str,
    environ: Mapping[str, str],
    force: bool,
    hosts: Hosts,
    say: Callable[[str], None],
) -> Source:
    if before.repo:
        from dobby.client.by_url import source_by_url

        flags = {"host": host}
        return source_by_url(hosts, environ, before.repo, before.revision, flags, say, before.project)
    try:
        source = asking.take_source(cwd, before.revision, environ, {}, force, say)
    except UsageError as error:
        raise UsageError(
            f"{before.label} cannot take {before.revision} anew: {error.message}",
            "go into its checkout, or use --same to repeat the run's own commit",
        ) from None
    known = set(before.roots)
    if known and source.roots and not known & set(source.roots) and not force:
        raise UsageError(
            f"this checkout is not of project {before.project}: it shares no root commit with that run",
            "go into its checkout, or use --same to repeat the run's own commit",
        )
    return source
