"""From a caller's words and settings to one Request."""

from __future__ import annotations

import os
import time

from dobby import config
from dobby.client import state
from dobby.client.forwarding import forwarded, read_env_file
from dobby.config.table import BY_KEY
from dobby.core import names
from dobby.core.errors import UsageError
from dobby.core.record import Record
from dobby.core.settings import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.config import Options
    from dobby.core.request import Request
    from dobby.snapshot import Checkout, Snapshot

FILES = ("dobby.toml", "pyproject.toml")
GIVEN = ("env", "env_file", "dir", "repo", "run_id", "force", "dry_run")  # options that are no settings


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


class Given(Record):
    """What a caller gave beside the settings, checked. `file_values` are those of the env file;
    `dir` None means the caller's own directory."""

    words: tuple[str, ...]
    file_values: dict[str, str]
    dir: str | None
    repo: str
    run_id: str
    force: bool
    dry_run: bool


class Asked(Record):
    """A request, the forwarded `values` that travel beside it, and the `host` to ask. `contents`
    are what is included: SHA-256 -> a path to read, or the bytes themselves."""

    request: Request
    values: dict[str, str]
    host: str
    contents: dict[str, str | bytes] = {}  # noqa: RUF012 (a record is frozen)


def new_run_id() -> str:
    """UTC time and 40 random bits: `20260131-235959-0123456789`."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + os.urandom(5).hex()


def check_given(revision: str, command: str, flags: Mapping[str, Any], given: Mapping[str, Any]) -> Given:
    """What can be known to be wrong before anything is started. Raises UsageError."""
    for key in flags:
        if key not in BY_KEY:
            raise UsageError(f"run has no option {key!r}", did_you_mean(key, [*BY_KEY, *GIVEN]))
    names.check_revision(revision)
    if not command.strip():
        raise UsageError("the command is empty")
    if "\0" in command:
        raise UsageError("the command holds a NUL byte, which no program can be given")
    if flags.get("label") is not None:
        names.check_name(flags["label"], "label")
    if given.get("run_id"):
        names.check_name(given["run_id"], "run id")
    if given.get("dir") is not None:
        names.check_inside(given["dir"], "directory")
    words = tuple(given.get("env") or ())
    for word in words:
        names.check_variable(word.partition("=")[0])
    env_file = given.get("env_file")
    return Given(
        words=words,
        file_values=read_env_file(env_file) if env_file else {},
        dir=given.get("dir"),
        repo=given.get("repo") or "",
        run_id=given.get("run_id") or "",
        force=bool(given.get("force")),
        dry_run=bool(given.get("dry_run")),
    )


def take_source(
    cwd: str,
    revision: str,
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
    force: bool,
    say: Callable[[str], None],
    foretell: Callable[[str, bytes], None] = lambda host, ahead: None,
) -> Source:
    """The snapshot of the checkout at `cwd`. `foretell` hears, before it is taken, at which host it is
    likely to run and as what (`protocol.dump_ahead`). Raises UsageError, DobbyError."""
    from dobby import snapshot as snap

    checkout = snap.open_checkout(cwd)
    on_disk = files_on_disk(checkout.top) if revision == "." else {}
    likely = options_of(environ, flags, on_disk, "the working tree")
    foretell(likely.host, _ahead(likely, checkout, revision, environ))
    limit_bytes = int(likely.untracked_limit_mb * 1_000_000)
    shot = snap.take(
        checkout, revision, untracked_limit_bytes=limit_bytes, force=force, files=FILES, say=say
    )
    for notice in shot.notices:
        say(notice)
    return Source(
        checkout=checkout,
        snapshot=shot,
        commit=shot.commit,
        branch=shot.branch,
        subject=shot.subject,
        origin=checkout.origin,
        roots=snap.root_commits(checkout, shot, state.cache_dir(environ)),
        files={name: text.decode("utf-8", "replace") for name, text in shot.files.items()},
    )


def _ahead(options: Options, checkout: Checkout, revision: str, environ: Mapping[str, str]) -> bytes:
    from dobby.core import protocol

    return protocol.dump_ahead(
        project_name(options, checkout.origin, checkout.top),
        label_of(options, revision, checkout.branch, of_caller(environ)["user"]),
        checkout.origin,
        checkout.object_format,
    )


def files_on_disk(top: str) -> dict[str, str]:
    """The texts of FILES as they lie in the directory `top`."""
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


def worth_saying(options: Options) -> list[str]:
    """Warnings, and which of the caller's variables a project's file has forwarded: whoever can push
    a branch writes that file."""
    said = [f"warning: {warning}" for warning in options.warnings]
    source = options.sources["forward_env"]
    if options.forward_env and _file_of(source) in FILES:
        said.append(f"the job gets your {', '.join(options.forward_env)}, as {source} asks")
    entry = options.hosts.get(options.host)
    if entry and entry.launcher != "process":
        said.append(
            f"warning: launcher of host.{options.host} is not read yet: the run starts there itself"
        )
    return said


def project_name(options: Options, origin: str, top: str) -> str:
    """The setting, else the last part of origin's URL, else of the top directory."""
    if options.name:
        return names.check_name(options.name, "project")
    last = origin.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
    return names.make_name(last, "") or names.make_name(os.path.basename(top), "project")


def label_of(options: Options, revision: str, branch: str, user: str) -> str:
    """The option, else the revision, or for `.` the branch it stands on, made fit; where several
    people share the account, after the user's name."""
    if options.label:
        return names.check_name(options.label, "label")
    host = options.hosts.get(options.host)
    whose = f"{user}-" if host and host.is_shared else ""
    return names.make_name(whose + ((branch or "detached") if revision == "." else revision), "run")


def run_dir(given: str | None, checkout: Checkout | None) -> str:
    """The directory to run in, relative to the top; default: the caller's own. Raises UsageError."""
    if given is None:
        return checkout.prefix.rstrip("/") if checkout else ""
    path = os.path.normpath(names.check_inside(given, "directory"))
    return "" if path == "." else path


def compose(
    source: Source,
    options: Options,
    revision: str,
    command: str,
    given: Given,
    environ: Mapping[str, str],
) -> Asked:
    """The request of `run`. Raises UsageError."""
    from dobby.core.request import Request, check_request
    from dobby.core.urls import split_login

    words = [*(n for n in options.forward_env if n not in given.file_values), *given.words]
    values, variables = forwarded(words, given.file_values, environ)
    top = source.checkout.top if source.checkout else ""
    caller = of_caller(environ)
    request = Request(
        run_id=given.run_id or new_run_id(),
        project=project_name(options, source.origin, top),
        label=label_of(options, revision, source.branch, caller["user"]),
        host=options.host,
        command=command,
        revision=revision,
        dir=run_dir(given.dir, source.checkout),
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
        memory_bytes=options.memory_bytes,
        cpus=options.cpus,
        nice=options.nice,
        notify=options.notify,
        requires=options.requires,
        requires_from=_file_of(options.sources["requires"]),
        repo=split_login(given.repo)[0],
        force=given.force,
        forward_agent=options.forward_agent,
        **of_source(source, environ),
        **caller,
        **of_owner(options, source.checkout),
    )
    return Asked(request=check_request(request), values=values, host=options.host)


def _file_of(source: str) -> str:
    """A project's file without its revision, which the run itself names."""
    name = source.partition(" of ")[0]
    return name if name in FILES else source


def of_source(source: Source, environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a request that say which code runs."""
    from dobby import snapshot as snap

    shot, checkout = source.snapshot, source.checkout
    return {
        "commit": source.commit,
        "branch": source.branch,
        "subject": source.subject,
        "origin": source.origin,
        "roots": source.roots,
        "object_format": checkout.object_format if checkout else "sha1",
        "modules": tuple(m.module for m in shot.modules) if shot else (),
        "lfs": shot.lfs if shot else (),
        "tags": snap.tags(checkout, shot, state.cache_dir(environ)) if checkout and shot else (),
    }


def of_caller(environ: Mapping[str, str]) -> dict[str, Any]:
    """Who asks, from which machine: claimed, not proved."""
    return {
        "user": environ.get("USER") or environ.get("LOGNAME") or _account(),
        "client": os.uname().nodename,
    }


def of_owner(options: Options, checkout: Checkout | None) -> dict[str, Any]:
    """Where the owner's own notices go, by default to git's user.email, and of what."""
    email = options.email
    if options.sources["email"] == config.DEFAULT:
        from dobby import snapshot as snap

        found = snap.email_of(checkout.config) if checkout else snap.email_anywhere()
        email = found if names.is_address(found) else ""
    return {"email": email, "notify_on": options.notify_on}


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
