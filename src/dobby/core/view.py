"""One run as every list, page and JSON shows it: a fold over its directory's contents."""

from __future__ import annotations

from dobby.core import events as ev
from dobby.core import status as st
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Union

    from dobby.core.request import Request

    Status = Union[st.Queued, st.Preparing, st.Running, st.Final]


LOG_CUT = "the disk was full at the end: the log may lack its last lines"


class RunView(Record):
    """A run as it is known. `seq` orders the runs of a job; `note` is what else to tell
    ("a child was left behind: sleep (pid 12)")."""

    request: Request
    status: Status
    seq: int
    created_at: str
    log_bytes: int = 0
    note: str = ""


def make_view(
    request: Request,
    seq: int,
    created_at: str,
    events: list[dict[str, Any]],
    final: Optional[st.Final],
    log_bytes: int = 0,
) -> RunView:
    notes = [str(e.get("text", "")) for e in events if e["kind"] == ev.NOTE]
    if final is not None and final.log_cut:
        notes.append(LOG_CUT)
    return RunView(
        request=request,
        status=final if final is not None else st.fold(events),
        seq=seq,
        created_at=created_at,
        log_bytes=log_bytes,
        note="; ".join(notes),
    )


class Row(Record):
    """The fields that CLI users and scripts rely on, in their order."""

    host: str
    project: str
    label: str
    run_id: str
    status: str
    exit_code: Optional[int]
    cause: Optional[dict[str, Any]]
    command: str
    dir: str
    revision: str
    commit: str
    subject: str
    user: str
    login: str
    client: str
    restart_of: str
    created_at: str
    started_at: Optional[str]
    finished_at: Optional[str]
    duration_s: Optional[float]
    usage: dict[str, Optional[float]]
    log_bytes: int
    log_offset: Optional[int]
    seq: int
    phase: str
    behind: str
    queue_position: Optional[int]
    max_running: Optional[int]
    note: str
    notices: list[dict[str, Any]]


def to_row(view: RunView, host: str) -> dict[str, Any]:
    request, status = view.request, view.status
    final = status if isinstance(status, st.Final) else None
    used = (final.usage if final else None) or {}
    started_at = final.started_at if final else getattr(status, "started_at", None)
    return Row(
        host=host,
        project=request.project,
        label=request.label,
        run_id=request.run_id,
        status=status.name,
        exit_code=st.exit_code_of(final) if final else None,
        cause=st.cause_of(final) if final else None,
        command=request.command,
        dir=request.dir,
        revision=request.revision,
        commit=request.commit,
        subject=request.subject,
        user=request.user,
        login=request.login,
        client=request.client,
        restart_of=request.restart_of,
        created_at=view.created_at,
        started_at=started_at,
        finished_at=final.finished_at if final else None,
        duration_s=final.duration_s if final else None,
        usage={name: used.get(name) for name in st.USAGE},
        log_bytes=view.log_bytes,
        log_offset=final.log_offset if final else getattr(status, "log_offset", None),
        seq=view.seq,
        phase=getattr(status, "phase", ""),
        behind=getattr(status, "behind", ""),
        queue_position=None,
        max_running=getattr(status, "max_running", None),
        note=view.note,
        notices=[],
    ).to_dict()
