"""Runs one verb: reads the call, answers `done` or `fail`, ends.

Where another call may follow, a child does all that, so that nothing of a call is there at the next: no
lock, no descriptor, no process. What was imported is, and that makes the next one fast."""

from __future__ import annotations

import gc
import os
import sys

from dobby.agent import bundle, libc, outbox, processes, signal
from dobby.agent.wire import Wire, cut
from dobby.core import json, protocol
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

    def ask(self, question: dict[str, Any]) -> Any:
        """The caller's answer. It may be long in coming: nobody is kept from a label meanwhile."""
        if self.glance:
            self.glance.read()
        self.wire.reply_json(protocol.ASK, question)
        return json.loads(self.wire.read_frame())


def main(home: str, marker: str, source: BinaryIO, first: bytes | None = None) -> None:
    """Serve the call in `first`, or else the one that `source` holds, and those that may follow; end."""
    processes.name_self("dobby-agent")
    umask = os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it takes the exit codes of children
    wire = Wire(source, marker)
    if first is None and not wire.has_more():
        _get_ready()
    chosen = _choice(home)
    try:
        _serve(home, wire, umask, first)
        while wire.is_called_again(protocol.WAITING_S) and _choice(home) == chosen:
            _serve(home, wire, umask, None)
    except BrokenPipeError:  # the caller went away; nobody is left to answer
        pass
    os._exit(0)  # at once: to take a Python to pieces takes 4 ms, which the caller would wait for


def _serve(home: str, wire: Wire, umask: int, first: bytes | None) -> None:
    """Answer one call and end; return where another may follow, which a child makes possible. A call that
    failed is the last: its caller may still be sending what belongs to it."""
    glance = None
    try:
        glance = _look_ahead(home, wire) if first is None else None
        if glance:
            glance.attend(wire)
        name, args, attached, more = _parsed(wire.read_frame() if first is None else first)
        verb = imported(f"dobby.agent.verbs.{known_verb(name)}")
        if more and glance:
            glance.read()  # git is our child, not our child's
        if more and (pid := _fork()):
            return _await_done(pid)
        call = Call(
            home=os.path.abspath(home), args=args, attached=attached, wire=wire, umask=umask, glance=glance
        )
        reply = (protocol.DONE, run_verb(verb, name, call))
    except DobbyError as error:
        reply = (protocol.FAIL, error.to_wire())
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reply = (protocol.FAIL, _of_system(home, error).to_wire())
    except Exception as error:
        reply = (protocol.FAIL, _of_bug(error).to_wire())
    if glance:
        glance.drop()
    wire.reply_json(*reply)
    os._exit(reply[0] != protocol.DONE)


def _choice(home: str) -> list[Any]:
    """Changes when another agent or interpreter might be found by `protocol.BOOTSTRAP`, or none."""
    note = f"{os.path.dirname(os.path.abspath(__file__))}/../../python"
    found: list[Any] = []
    for path in (note, f"{home}/config.toml"):
        try:
            stat = os.stat(path)
            found.append((stat.st_ino, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _fork() -> int:
    """0 in a child; also here, where there can be none: then this call is the last."""
    try:
        return os.fork()
    except OSError:
        return 0


def _await_done(pid: int) -> None:
    """Return once the child has done its call; end as it ended where it has not."""
    ended = 0
    while ended != pid:  # others have looked ahead
        ended, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        os.kill(os.getpid(), -code)
    if code:
        os._exit(code)


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
    from dobby.agent import glance

    begun = glance.begin(os.path.abspath(home), ahead)
    _get_ready()  # beside git
    return begun


def _parsed(data: bytes) -> tuple[str, dict[str, Any], bytes, bool]:
    try:
        return protocol.parse_call(data)
    except (ValueError, KeyError):
        raise cut() from None


def run_verb(verb: Any, name: str, call: Call) -> Any:
    """What the module `verb` answers, JSON values. Raises DobbyError."""
    bundle.settle()
    gc.freeze()  # what was imported stays, so no collection need look at it, nor touch its memory
    gc.enable()
    if name not in _CARRIERS and not outbox.is_empty(call.home):
        from dobby.agent import stewards

        stewards.call(call.home)
    return verb.run(call)


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
