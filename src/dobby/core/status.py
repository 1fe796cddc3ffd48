"""What state a run is in: a fold over what its directory holds, and what follows from a look
at its locks. Each status carries exactly the fields that are valid in it.

    Queued  Preparing  Running   |   Succeeded  Failed  Stopped  TimedOut  Lost
"""

from __future__ import annotations

from dobby.core import events as ev
from dobby.core.record import Record
from dobby.core.shapes import misfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, TypeVar, Union

    T = TypeVar("T", bound=Record)

SCHEMA = 1


# --- causes: why a run ended as it did -------------------------------------------------


class Exit(Record):
    """The command returned `code`."""

    code: int


class Signal(Record):
    """Signal `number` (`name`, e.g. "SIGKILL") ended the command. `hint` is what it may mean."""

    number: int
    name: str
    hint: str = ""


class OutOfMemory(Record):
    """The kernel's out-of-memory killer ended the command: the cgroup proves it."""


class Environment(Record):
    """A step of the preparation failed. `code` is its exit code, None where it had none;
    `tail` the last lines that it said."""

    step: str
    command: str = ""
    code: Optional[int] = None
    tail: str = ""


class Internal(Record):
    """The host refused what the supervisor needed (fork, disk …): `message` says what."""

    message: str


class Rebooted(Record):
    """The host was restarted while the run was alive."""


class SupervisorKilled(Record):
    """Supervisor and wrapper both vanished: nobody saw how the command ended."""


CAUSES: dict[str, type[Record]] = {
    "exit": Exit,
    "signal": Signal,
    "out_of_memory": OutOfMemory,
    "environment": Environment,
    "internal": Internal,
    "rebooted": Rebooted,
    "supervisor_killed": SupervisorKilled,
}
_CAUSE_KINDS = {cls: kind for kind, cls in CAUSES.items()}


def dump_cause(cause: Record) -> dict[str, Any]:
    return {"kind": _CAUSE_KINDS[type(cause)], **cause.to_dict()}


def parse_cause(wire: dict[str, Any]) -> Record:
    """Raises ValueError for a kind or a field that this version does not know."""
    cls = CAUSES.get(wire.get("kind", ""))
    if cls is None:
        raise ValueError(f"cause {wire.get('kind')!r} is from a newer dobby")
    try:
        return _fitting(cls(**{k: v for k, v in wire.items() if k != "kind"}))
    except TypeError as error:
        raise ValueError(str(error)) from None


def _fitting(record: T) -> T:
    if wrong := misfit(record):
        raise ValueError(wrong)
    return record


# Peak memory of the cgroup, else of the largest process; seconds of all processors; log and outputs.
USAGE = ("peak_memory_bytes", "cpu_s", "disk_bytes")

# --- statuses ----------------------------------------------------------------------------


class Queued(Record):
    """Accepted; waits for `behind` (a run id of its label) and those before it, or with `number`
    for one of the `max_running` slots of its machine."""

    name = "queued"
    behind: str = ""
    number: Optional[int] = None
    max_running: Optional[int] = None


class Preparing(Record):
    """Holds the label; the sandbox and the environment are being made."""

    name = "preparing"
    phase: str = ""


class Running(Record):
    """The command was started; the job's bytes begin at `log_offset` of the log."""

    name = "running"
    started_at: str
    log_offset: int


class Final(Record):
    """What all final statuses share. `started_at` is None when the command never ran;
    `duration_s` is from the command's start, by a monotonic clock where one saw it whole. `usage` has
    some of USAGE. `log_cut`: the disk was full at the end, so that the log may lack lines."""

    name = ""
    finished_at: str
    started_at: Optional[str] = None
    duration_s: Optional[float] = None
    log_offset: Optional[int] = None
    usage: Optional[dict[str, Optional[float]]] = None
    log_cut: bool = False


class Succeeded(Final):
    name = "succeeded"


class Failed(Final):
    name = "failed"
    cause: Union[Exit, Signal, OutOfMemory, Environment, Internal]


class Stopped(Final):
    name = "stopped"
    by: str


class TimedOut(Final):
    name = "timed_out"
    timeout_s: float


class Lost(Final):
    name = "lost"
    cause: Union[Rebooted, SupervisorKilled]


FINALS: dict[str, type[Final]] = {c.name: c for c in (Succeeded, Failed, Stopped, TimedOut, Lost)}
NAMES = (Queued.name, Preparing.name, Running.name, *FINALS)
# What people are told of: that the command started, how it ended, that it has been silent.
NOTICE_KINDS = ("started", *FINALS, "stalled")


def dump_final(final: Final) -> dict[str, Any]:
    plain = {"schema": SCHEMA, "status": final.name, **final.to_dict()}
    if isinstance(final, (Failed, Lost)):
        plain["cause"] = dump_cause(final.cause)
    return plain


def parse_final(wire: dict[str, Any]) -> Final:
    """Raises ValueError for what only a newer version knows. Unknown fields are passed over."""
    cls = FINALS.get(wire.get("status", ""))
    if cls is None or wire.get("schema", 0) > SCHEMA:
        raise ValueError(f"final state {wire.get('status')!r} is from a newer dobby")
    fields = {k: v for k, v in wire.items() if k in cls.fields}  # type: ignore[attr-defined]
    if "cause" in fields:
        fields["cause"] = parse_cause(fields["cause"])
    try:
        return _fitting(cls(**fields))
    except TypeError as error:
        raise ValueError(str(error)) from None


def cause_of(final: Final) -> dict[str, Any]:
    """The cause as JSON shows it; every final status has one."""
    if isinstance(final, (Failed, Lost)):
        return dump_cause(final.cause)
    if isinstance(final, Stopped):
        return {"kind": "stopped", "by": final.by}
    if isinstance(final, TimedOut):
        return {"kind": "timeout", "timeout_s": final.timeout_s}
    return {"kind": "exit", "code": 0}


def exit_code_of(final: Final) -> Optional[int]:
    """The command's own exit code: only where it returned and that decided the status."""
    cause = cause_of(final)
    return cause["code"] if cause["kind"] == "exit" else None


# --- fold and judgement -----------------------------------------------------------------


def fold(events: list[dict[str, Any]]) -> Queued | Preparing | Running:
    """The live status that the events tell of; a final state stands in final.json alone. Raises
    ValueError, KeyError for events that are not ours."""
    status: Queued | Preparing | Running = Queued()
    for event in events:
        kind = event["kind"]
        if kind == ev.QUEUED:
            behind, number = str(event.get("behind", "")), event.get("number")
            status = _fitting(Queued(behind=behind, number=number, max_running=event.get("max_running")))
        elif kind == ev.PREPARING:
            status = Preparing()
        elif kind == ev.PHASE and isinstance(status, Preparing):
            status = Preparing(phase=str(event.get("name", "")))
        elif kind == ev.STARTED:
            status = _fitting(Running(started_at=event["at"], log_offset=event["log_offset"]))
    return status


def from_exit(
    cause: Record, requested: Optional[dict[str, Any]], **times: Any
) -> Succeeded | Failed | Stopped | TimedOut:
    """The final state of a command that ended with `cause` (Exit, Signal, OutOfMemory).

    `requested` is the stop that had been asked for before the end, {"by", "reason",
    "timeout_s"}, or None. A stop counts whatever the command returned."""
    if requested and requested.get("reason") == "timeout":
        return TimedOut(timeout_s=requested["timeout_s"], **times)
    if requested:
        return Stopped(by=str(requested.get("by", "")), **times)
    if isinstance(cause, Exit) and cause.code == 0:
        return Succeeded(**times)
    return Failed(cause=cause, **times)  # type: ignore[arg-type]
