"""From a caller's words and settings to one Request."""

from __future__ import annotations

import os
import time

from dobby import config
from dobby import snapshot as snap
from dobby.client import state
from dobby.core import names
from dobby.core.errors import UsageError
from dobby.core.record import Record
from dobby.core.request import Request, check_inside, check_request, check_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from dobby.config import Options
    from dobby.snapshot import Checkout, Snapshot

FILES = ("dobby.toml", "pyproject.toml")


class Source(Record):
    """What is to run: a snapshot of a checkout, or (`checkout` None) a commit that the host
    fetched from a URL itself. `files` are the texts of FILES that it has."""

    checkout: Checkout | None
    snapshot: Snapshot | None
    commit: str
    branch: str
    subject: str
    origin: str
    roots: tuple[str, ...]
    files: dict[str, str]


class Asked(Record):
    """A request, the forwarded `values` that travel beside it, and the `host` to ask."""

    request: Request
    values: dict[str, str]
    host: str


def new_run_id() -> str:
    """UTC time and 40 random bits: `20260131-235959-0123456789`."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + os.urandom(5).hex()


def take_source(
    cwd: str,
    revision: str,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    force: bool,
    say: Callable[[str], None],
) -> Source:
    """The snapshot of the checkout at `cwd`. Raises UsageError, DobbyError."""
    checkout = snap.open_checkout(cwd)
    limit = options_of(environ, flags, _files_on_disk(checkout.top), "the working tree").untracked_limit_mb
    shot = snap.take(
        checkout, revision, untracked_limit_bytes=int(limit * 1_000_000), force=force, say=say
    )
    for notice in shot.notices:
        say(notice)
    files = {n: t.decode("utf-8", "replace") for n, t in snap.read_files(checkout, shot, FILES).items()}
    return Source(
        checkout=checkout,
        snapshot=shot,
        commit=shot.commit,
        branch=shot.branch,
        subject=shot.subject,
        origin=checkout.origin,
        roots=snap.root_commits(checkout, shot, state.cache_dir(environ)),
        files=files,
    )


def _files_on_disk(top: str) -> dict[str, str]:
    found = {}
    for name in FILES:
        try:
            with open(f"{top}/{name}", encoding="utf-8", errors="replace") as file:
                found[name] = file.read()
        except OSError:
            continue
    return found


def options_of(
    environ: Mapping[str, str], flags: Mapping[str, Any], files: Mapping[str, str], revision: str
) -> Options:
    """Defaults < project < user < environment < flags."""
    user = config.load_user_file(environ)
    project = [(f"{name} of {revision}", name, files[name]) for name in FILES if name in files]
    return config.resolve(flags=flags, environ=environ, user_file=user, project=project)


def project_name(options: Options, origin: str, top: str) -> str:
    """The setting, else the last part of origin's URL, else of the top directory."""
    if options.name:
        return names.check_name(options.name, "project")
    last = origin.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
    return names.make_name(last, "") or names.make_name(os.path.basename(top), "project")


def label_of(options: Options, revision: str, branch: str) -> str:
    """The option, else the revision, or for `.` the branch it stands on, made fit."""
    if options.label:
        return names.check_name(options.label, "label")
    return names.make_name((branch or "detached") if revision == "." else revision, "run")


def run_dir(given: str | None, checkout: Checkout | None) -> str:
    """The directory to run in, relative to the top; default: the caller's own. Raises UsageError."""
    if given is None:
        return checkout.prefix.rstrip("/") if checkout else ""
    path = os.path.normpath(check_inside(given, "directory"))
    return "" if path == "." else path


def forwarded(
    words: Iterable[str], env_file: str | None, environ: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """`-e NAME` and the lines of --env-file are values to forward; `-e NAME=VALUE` is no secret.
    Answers (values, variables). Raises UsageError."""
    values, variables = _read_env_file(env_file) if env_file else {}, {}
    for word in words:
        name, equals, value = word.partition("=")
        check_variable(name)
        if equals:
            variables[name] = value
        elif name in values:
            continue
        elif name in environ:
            values[name] = environ[name]
        else:
            raise UsageError(f"{name} is not set here, so it cannot be forwarded", f"export {name}=…")
    return values, variables


def _read_env_file(path: str) -> dict[str, str]:
    """NAME=VALUE lines; '#' begins a comment line; one pair of quotes around a value is taken off."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise UsageError(f"env file {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"env file {path}, line {number} is no NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[check_variable(name.strip())] = value
    return found


def compose(
    source: Source,
    options: Options,
    revision: str,
    command: str,
    given: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Asked:
    """The request of `run`. `given`: env, env_file, dir, repo, run_id, force. Raises UsageError."""
    words = [*options.forward_env, *(given.get("env") or ())]
    values, variables = forwarded(words, given.get("env_file"), environ)
    top = source.checkout.top if source.checkout else ""
    request = Request(
        run_id=given.get("run_id") or new_run_id(),
        project=project_name(options, source.origin, top),
        label=label_of(options, revision, source.branch),
        host=options.host,
        command=command,
        revision=revision,
        dir=run_dir(given.get("dir"), source.checkout),
        environment=options.environment,
        setup=options.setup,
        setup_key=options.setup_key,
        output=options.output,
        keep=options.keep,
        forward=tuple(sorted(values)),
        variables=tuple(sorted(variables.items())),
        timeout_s=options.timeout_s,
        grace_s=options.grace_s,
        if_running=options.if_running,
        repo=given.get("repo") or "",
        force=bool(given.get("force")),
        **of_source(source, environ),
        **of_caller(environ),
    )
    return Asked(request=check_request(request), values=values, host=options.host)


def of_source(source: Source, environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a request that say which code runs."""
    shot, checkout = source.snapshot, source.checkout
    return {
        "commit": source.commit,
        "branch": source.branch,
        "subject": source.subject,
        "origin": source.origin,
        "roots": source.roots,
        "object_format": checkout.object_format if checkout else "sha1",
        "modules": tuple(m.module for m in shot.modules) if shot else (),
        "tags": snap.tags(checkout, shot, state.cache_dir(environ)) if checkout and shot else (),
    }


def of_caller(environ: Mapping[str, str]) -> dict[str, str]:
    """Who asks, from which machine: claimed, not proved."""
    return {
        "user": environ.get("DOBBY_USER") or environ.get("USER") or environ.get("LOGNAME") or "",
        "client": os.uname().nodename,
    }
