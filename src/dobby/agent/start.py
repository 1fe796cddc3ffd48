"""Start a supervisor: detached from the session, in its own scope where the host has one."""

from __future__ import annotations

import os
import sys

from dobby.agent import durable, spawn
from dobby.agent.variables import find
from dobby.core import protocol
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Optional

    from dobby.core import layout
    from dobby.core.host_settings import HostSettings
    from dobby.core.request import Request

READY = b"r"


def start(
    run: layout.Run,
    request: Request,
    settings: HostSettings,
    values: Mapping[str, str],
    run_fd: int,
    label_fd: Optional[int],
) -> None:
    """Return once the supervisor lives and its first event is durable; the locks are then its
    alone. Raises DobbyError with what it said when it did not come to life."""
    scope = _scope_argv(run)
    alive = scope and _attempt(
        run, run_fd, label_fd, lambda ready: _exec_scoped(scope, run, values, run_fd, label_fd, ready)
    )
    alive = alive or _attempt(
        run,
        run_fd,
        label_fd,
        lambda ready: _carry_here(run, request, settings, values, run_fd, label_fd, ready),
    )
    os.close(run_fd)
    if label_fd is not None:
        os.close(label_fd)
    if not alive:
        said = (durable.read(run.trouble) or b"").decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else "it said nothing"
        raise DobbyError(f"the supervisor of run {run.run_id} did not start: {last}")


def _attempt(run: layout.Run, run_fd: int, label_fd: Optional[int], body) -> bool:  # type: ignore[no-untyped-def]
    """Fork a detached process that runs `body(ready descriptor)`; whether it said READY."""
    ready_r, ready_w = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(ready_r)
        os.close(ready_w)
        raise DobbyError(f"the host could not start a process: {error.strerror}") from None
    if pid == 0:
        try:
            os.close(ready_r)
            _detach(run)
            body(ready_w)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(ready_w)
    try:
        return os.read(ready_r, 1) == READY
    finally:
        os.close(ready_r)


def _detach(run: layout.Run) -> None:
    """A session of our own; nothing of the connection's is held open, so that it can end."""
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    trouble = os.open(run.trouble, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, onto in ((nothing, 0), (nothing, 1), (trouble, 2)):
        os.dup2(fd, onto)


def _carry_here(  # type: ignore[no-untyped-def]
    run: layout.Run, request, settings, values, run_fd: int, label_fd: Optional[int], ready_fd: int
) -> None:
    from dobby.agent import supervisor

    charge = supervisor.Charge(
        run=run, request=request, settings=settings, values=values, run_fd=run_fd, label_fd=label_fd
    )
    supervisor.carry(charge, lambda: tell_ready(ready_fd))
    os._exit(0)


def tell_ready(fd: int) -> None:
    """Once; a second call (a queued run's turn has come) finds nobody waiting."""
    try:
        os.write(fd, READY)
    except BrokenPipeError:
        return


def _scope_argv(run: layout.Run) -> list[str]:
    """systemd-run in front, where the account has a user manager (systemd-run(1)): logout kills
    neither the supervisor nor the job. [] where there is none."""
    manager = f"{os.environ.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/systemd/private"
    program = find("systemd-run", os.environ)
    if not program or not os.path.exists(manager):
        return []
    return [
        *(program, "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"),
        *(f"--unit=dobby-{run.run_id}", "--"),
    ]


def _exec_scoped(
    scope: list[str],
    run: layout.Run,
    values: Mapping[str, str],
    run_fd: int,
    label_fd: Optional[int],
    ready_fd: int,
) -> None:
    """Become `systemd-run … python main.py`, which carries on in the verb `supervise`. What is
    secret goes by a pipe, never by argv."""
    args = {
        **{"project": run.project, "label": run.label, "run_id": run.run_id},
        **{"run_fd": run_fd, "label_fd": label_fd, "ready_fd": ready_fd, "values": dict(values)},
    }
    call_r, call_w = os.pipe()
    if os.fork() == 0:
        os.close(call_r)
        durable.write_all(call_w, protocol.frame(protocol.dump_call("supervise", args)))
        os._exit(0)
    os.dup2(call_r, 0)
    for fd in (run_fd, label_fd, ready_fd):
        if fd is not None:
            os.set_inheritable(fd, True)
    main = os.path.abspath(f"{os.path.dirname(__file__)}/../../main.py")
    spawn.default_signals()
    argv = [*scope, sys.executable, "-I", "-S", main, run.home, "supervise"]
    environ = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}
    os.execve(argv[0], argv, environ)
