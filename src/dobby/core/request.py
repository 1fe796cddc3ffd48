"""What a caller asks for: one run, whole, in one value that crosses the wire once."""

from __future__ import annotations

from dobby.core import json, names, settings
from dobby.core.digest import sha256
from dobby.core.errors import UsageError
from dobby.core.record import Record
from dobby.core.shapes import misfit
from dobby.core.status import NOTICE_KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

SCHEMA = 1

# Who asks, and what follows from the commit, is recorded but not part of what is asked.
_NOT_ASKED_FOR = (
    *("run_id", "user", "login", "client", "email", "notify_on", "restart_of", "force"),
    *("subject", "tags", "roots", "modules", "object_format", "lfs"),
    *("requires", "requires_from"),
)


class Module(Record):
    """A submodule to check out: `path` and `name` as in .gitmodules (a nested one's are
    joined by "/" to its parent's), `url` without a login, `commit` as recorded. With `fetch` the
    laptop does not have it: the host fetches it from `url`, and all that it holds in turn."""

    path: str
    name: str
    url: str
    commit: str
    fetch: bool = False


class Request(Record):
    """One run. Durations in seconds; `dir` relative to the sandbox ("" is its top).

    `branch` is the local branch to stand on ("" is a detached head), `tags` are
    [name, object id] pairs that `git describe` needs, `forward` the names of values that
    travel beside the request and are never stored, `variables` the values that are no secret.
    `forward_agent`: the set-up may use the caller's ssh agent. `login` is the account behind
    `user` where sudo told the host of one (`become`).
    `roots` are the ids of the repository's root commits (empty where they cannot be known).
    `email` is the owner's address ("" is none), who is told of the kinds in `notify_on`;
    `notify` are addresses and names of channels that are told beside the team's.
    `requires` are programs that the host must have, `requires_from` the file that says so.
    `memory_bytes` and `cpus` are the most that the command may use (None is no limit of ours), `nice`
    is added to its niceness.
    `include` are paths that travel beside the commit, `manifest` the id of the list of their files
    (core/manifest.py; "" is none). `lfs` names the repositories whose .gitattributes speak of Git
    LFS: "" is the project's own, else a submodule's name.
    """

    run_id: str
    project: str
    label: str
    host: str
    commit: str
    command: str
    revision: str
    branch: str = ""
    dir: str = ""
    environment: tuple[str, ...] = ("auto",)
    setup: str = ""
    setup_key: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    timeout_s: Optional[float] = None
    grace_s: float = 3.0
    if_running: str = "refuse"
    origin: str = ""
    repo: str = ""
    object_format: str = "sha1"
    modules: tuple[Module, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    roots: tuple[str, ...] = ()
    subject: str = ""
    user: str = ""
    client: str = ""
    restart_of: str = ""
    force: bool = False
    notify: tuple[str, ...] = ()
    email: str = ""
    notify_on: tuple[str, ...] = NOTICE_KINDS
    requires: tuple[str, ...] = ()
    requires_from: str = ""
    login: str = ""
    forward_agent: bool = False
    memory_bytes: Optional[int] = None
    cpus: Optional[float] = None
    nice: int = 0
    include: tuple[str, ...] = ()
    manifest: str = ""
    lfs: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 (hex) of what is asked for: not who, not when, no forwarded value."""
        asked = {k: v for k, v in to_dict(self).items() if k not in _NOT_ASKED_FOR}
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def to_dict(request: Request) -> dict[str, Any]:
    """Plain JSON values, with `schema`."""
    plain: dict[str, Any] = {"schema": SCHEMA, **request.to_dict()}
    plain["modules"] = [m.to_dict() for m in request.modules]
    return plain


def parse_request(wire: dict[str, Any]) -> Request:
    """The request that `to_dict` described, checked. Unknown fields of a newer client are
    an error: they ask for something that this version would silently not do.

    Raises UsageError."""
    fields = {k: v for k, v in wire.items() if k != "schema"}
    if wire.get("schema") != SCHEMA:
        raise UsageError(f"request of schema {wire.get('schema')!r}, this agent knows {SCHEMA}")
    for key, value in fields.items():
        if isinstance(value, list):
            fields[key] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    try:
        fields["modules"] = tuple(Module(**m) for m in wire.get("modules", ()))
        request = Request(**fields)
    except TypeError as error:
        raise UsageError(f"request not understood: {error}") from None
    for part in (request, *request.modules):
        if wrong := misfit(part):
            raise UsageError(f"request not understood: {wrong}")
    return check_request(request)


def check_request(request: Request) -> Request:
    """`request` itself. Raises UsageError for what must not reach a host."""
    names.check_name(request.label, "label")
    names.check_name(request.project, "project")
    names.check_name(request.run_id, "run id")
    check_commit(request.commit)
    for module in request.modules:
        check_commit(module.commit)
        names.check_inside(module.path, "submodule path")
        names.check_inside(module.name, "submodule name")
    names.check_inside(request.dir, "directory")
    for glob in request.output + request.keep + request.setup_key:
        names.check_inside(glob, "glob")
    for path in request.include:
        names.check_inside(path, "included path")
    for name in request.forward + tuple(n for n, _ in request.variables):
        names.check_variable(name)
    for program in request.requires:
        names.check_program(program)
    for who in request.notify:
        names.check_who(who)
    if request.email and not names.is_address(request.email):
        raise UsageError(f"{names.shown(request.email)} is no address for mail")
    if not request.command.strip():
        raise UsageError("the command is empty")
    if "\0" in request.command + request.setup:
        raise UsageError("the command holds a NUL byte, which no program can be given")
    if request.if_running not in settings.IF_RUNNING:
        raise UsageError(
            f"if-running {names.shown(request.if_running)} is unknown",
            f"one of {', '.join(settings.IF_RUNNING)}",
        )
    if request.timeout_s is not None and request.timeout_s <= 0:
        raise UsageError("the timeout must be more than nothing")
    _check_limits(request)
    if request.grace_s < 0:
        raise UsageError("the grace must not be negative")
    return request


def _check_limits(request: Request) -> None:
    for name, value, read in (
        ("memory", request.memory_bytes, settings.parse_size_bytes),
        ("cpus", request.cpus, settings.parse_cpus),
        ("nice", request.nice, settings.read_nice),
    ):
        if value is not None:
            try:
                read(settings.read_number(value))
            except ValueError as error:
                raise UsageError(f"{name} {error}") from None


def check_commit(text: str) -> str:
    """A full object id, SHA-1 or SHA-256. Raises UsageError."""
    if len(text) not in (40, 64) or not all(c in "0123456789abcdef" for c in text):
        raise UsageError(f"commit {names.shown(text)} is not a full object id")
    return text
