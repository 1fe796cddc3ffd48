"""Runs one verb: reads the call, answers `done` or `fail`, ends."""

from __future__ import annotations

import gc
import os
import sys

from dobby.agent import bundle, libc, outbox, processes, signal
from dobby.agent.wire import Wire, cut
from dobby.core import protocol
from dobby.core.errors import Bug, DobbyError
from dobby.core.lazy import imported
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Optional

    from dobby.agent.glance import Glance


# Verbs that are no contact, at which a steward would be started: what they start lives on, or is to go.
_CARRIERS = ("supervise", "steward", "purge")


class Call(Record):
    """What a verb is given: dobby's directory, its arguments, bytes sent along, the wire, and the
    account's umask, which is the jobs'; dobby's own is 077. `glance` is a launch's: what was begun
    before the call had arrived."""

    home: str
    args: dict[str, Any]
    attached: bytes
    wire: Wire
    umask: int
    glance: Optional[Glance] = None


def main(home: str, marker: str, source: BinaryIO, first: bytes | None = None) -> None:
    """Serve the call in `first`, or else the one that `source` holds."""
    processes.name_self("dobby-agent")
    umask = os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it takes the exit codes of children
    wire = Wire(source, marker)
    if first is None and not wire.has_more():
        _get_ready()
    try:
        try:
            glance = _look_ahead(home, wire) if first is None else None
            data = wire.read_frame() if first is None else first
            reply = (protocol.DONE, run_verb(home, data, wire, umask, glance))
        except DobbyError as error:
            reply = (protocol.FAIL, error.to_wire())
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            reply = (protocol.FAIL, _of_system(home, error).to_wire())
        except Exception as error:
            reply = (protocol.FAIL, _of_bug(error).to_wire())
        wire.reply_json(*reply)
    except BrokenPipeError:  # the caller went away; nobody is left to answer
        os._exit(0)


# What a look at a sandbox imports, and a launch too: before the fork, so that it is done once.
_FOR_A_LOOK = ("glance", "conclude", "hostgit", "lodged", "sandbox_refs", "spare", "steps", "worktree")


def _get_ready() -> None:
    """The call is still being made up, which only a launch's is: import what that needs, and the
    supervisor that will be forked."""
    for name in ("verbs.launch", "verbs.follow", "supervisor"):
        imported(f"dobby.agent.{name}")
    libc.library()


def _look_ahead(home: str, wire: Wire) -> Optional[Glance]:
    """Use the time until the call arrives, where the caller says what it will be about."""
    ahead = wire.read_frame()
    if not ahead:
        return None
    for name in _FOR_A_LOOK:
        imported(f"dobby.agent.{name}")
    from dobby.agent import glance

    begun = glance.begin(os.path.abspath(home), ahead)
    _get_ready()  # beside git
    return begun


def run_verb(home: str, data: bytes, wire: Wire, umask: int, glance: Optional[Glance] = None) -> Any:
    """The verb's result, JSON values. Raises DobbyError."""
    try:
        name, args, attached = protocol.parse_call(data)
    except (ValueError, KeyError):
        raise cut() from None
    module = imported(f"dobby.agent.verbs.{known_verb(name)}")
    bundle.settle()
    gc.freeze()  # what was imported stays, so no collection need look at it, nor touch its memory
    gc.enable()
    call = Call(
        home=os.path.abspath(home), args=args, attached=attached, wire=wire, umask=umask, glance=glance
    )
    if name not in _CARRIERS and not outbox.is_empty(call.home):
        from dobby.agent import stewards

        stewards.call(call.home)
    return module.run(call)


def known_verb(name: str) -> str:
    """`name` when it is a module of `verbs`. Raises DobbyError listing them."""
    names = sorted(
        entry[:-3]
        for entry in os.listdir(os.path.join(os.path.dirname(__file__), "verbs"))
        if entry.endswith(".py") and entry != "__init__.py"
    )
    if name not in names:
        raise DobbyError(f"this agent has no verb {name!r}", f"it has {', '.join(names)}")
    return name


def _of_system(home: str, error: OSError) -> DobbyError:
    """A full disk, a read-only home …: the host's own words, and where."""
    import errno

    where = error.filename if isinstance(error.filename, str) else home
    hint = {
        errno.ENOSPC: "free some space there (`dobby clean --all`), then repeat the command",
        errno.EDQUOT: "the account's quota is used up: free some space, then repeat the command",
        errno.EROFS: "that filesystem is read-only: set DOBBY_HOME on the host to another place",
        errno.EACCES: "the account may not write there: mend the permissions or set DOBBY_HOME on the host",
        errno.ENOLCK: "that filesystem has no locks: set DOBBY_HOME on the host to a local disk",
    }.get(error.errno or 0, "")
    return DobbyError(f"{error.strerror or error}: {where} on {os.uname().nodename}", hint)


def _of_bug(error: Exception) -> Bug:
    import traceback

    frames = traceback.extract_tb(sys.exc_info()[2])
    at = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    return Bug(
        f"the agent failed: {type(error).__name__}: {error} (at {at})",
        "this is a bug of dobby; please report it",
        trace="".join(traceback.format_tb(sys.exc_info()[2])),
    )
