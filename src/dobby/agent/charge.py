"""What a supervisor is given."""

from __future__ import annotations

from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

    from dobby.core import layout
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request


class Charge(Record):
    """A run to carry. `run_fd` holds the run's lock, `label_fd` the label's (None: wait for it);
    `values` are the forwarded ones, held in memory alone; `umask` is the account's.
    `agent_socket` is the caller's ssh agent ("" is none), there for as long as the process `launcher`
    lives. `seen` is what a glance at the sandbox has given."""

    run: layout.Run
    request: Request
    settings: HostSettings
    values: Mapping[str, str]
    run_fd: int
    label_fd: Optional[int]
    umask: int
    agent_socket: str = ""
    launcher: int = 0
    seen: bytes = b""
