"""Carry a run in this process: what a supervisor becomes when it was started through exec."""

from __future__ import annotations

import os

from dobby.agent import admission, start, store, supervisor
from dobby.agent.charge import Charge
from dobby.core import layout
from dobby.core.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call


def run(call: Call) -> dict[str, Any]:
    """`args`: `project label run_id values umask agent_socket launcher` and the
    inherited descriptors `run_fd label_fd ready_fd`, which must not be inherited any further by the job."""
    args = call.args
    job = layout.Job(home=call.home, project=args["project"], label=args["label"])
    stored = store.load(job.run(args["run_id"]))
    if stored is None:
        raise NotFound(f"no run {args['run_id']}")
    for fd in (args["run_fd"], args["label_fd"], args["ready_fd"]):
        if fd is not None:
            os.set_inheritable(fd, False)
    charge = Charge(
        run=stored.run,
        request=stored.request,
        settings=admission.read_settings(call.home),
        values=args["values"],
        run_fd=args["run_fd"],
        label_fd=args["label_fd"],
        umask=args["umask"],
        agent_socket=args["agent_socket"],
        launcher=args["launcher"],
    )
    supervisor.carry(charge, lambda: start.tell_ready(args["ready_fd"]))
    return {}
