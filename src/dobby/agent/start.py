"""Start a supervisor: detached from the session, in its own scope where the host has one."""

from __future__ import annotations

import os
import select
import sys

from dobby.agent import durable, limits, signal, spawn, trouble
from dobby.agent.variables import find
from dobby.core import protocol
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Optional

    from dobby.agent.charge import Charge
    from dobby.core import layout

READY = b"r"
SCOPE_S = 20.0  # a user manager that has not started a scope by then will not


def start(charge: Charge) -> None:
    """Return once the supervisor lives and its first event is durable, or the run is final.

    The caller closes its copies of the locks. Raises DobbyError with what the supervisor said
    when it did not come to life."""
    scope = scope_argv(charge.run.run_id, limits.scope_properties(charge.request))
    if scope and _attempt(charge, lambda ready: _exec_scoped(scope, charge, ready), SCOPE_S):
        return
    if _attempt(charge, lambda ready: _carry_here(charge, ready), None):
        return
    said = (durable.read(charge.run.trouble) or b"").decode("utf-8", "replace").strip()
    last = said.splitlines()[-1] if said else "it said nothing"
    raise DobbyError(f"the supervisor of run {charge.run.run_id} did not start: {last}")


def _attempt(charge: Charge, body: Callable[[int], None], patience_s: Optional[float]) -> bool:
    """Fork a detached process that runs `body(ready descriptor)`; whether it said READY, or
    brought the run to its end before. Another one is gone."""
    ready_r, ready_w = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(ready_r)
        os.close(ready_w)
        raise DobbyError(
            f"{os.uname().nodename} could not start a process: {error.strerror}",
            "the account may have reached its limit of processes (ulimit -u)",
        ) from None
    if pid == 0:
        try:
            os.close(ready_r)
            _detach(charge.run)
            body(ready_w)
        except BaseException:
            trouble.tell()
        finally:
            os._exit(1)
    os.close(ready_w)
    try:
        said = os.read(ready_r, 1) if select.select([ready_r], [], [], patience_s)[0] else b""
    finally:
        os.close(ready_r)
    if said == READY:
        return True
    os.kill(pid, signal.SIGKILL)  # not waited for yet, so the pid is its own
    os.waitpid(pid, 0)
    return os.path.exists(charge.run.final)


def _detach(run: layout.Run) -> None:
    """A session of our own; nothing of the connection's is held open, so that it can end."""
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    trouble = os.open(run.trouble, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, onto in ((nothing, 0), (nothing, 1), (trouble, 2)):
        os.dup2(fd, onto)


def _carry_here(charge: Charge, ready_fd: int) -> None:
    from dobby.agent import supervisor

    supervisor.carry(charge, lambda: tell_ready(ready_fd))
    os._exit(0)


def tell_ready(fd: int) -> None:
    """Once; a second call (a queued run's turn has come) finds nobody waiting."""
    try:
        os.write(fd, READY)
    except BrokenPipeError:
        return


def scope_argv(name: str, properties: Sequence[str] = ()) -> list[str]:
    """systemd-run in front, where the account has a user manager that stays (systemd-run(1)): logout
    kills neither the supervisor nor the job. [] where there is none, or where it ends with the last
    session and its scopes with it: a mere session of our own lives longer. `name` is unique."""
    program = find("systemd-run", os.environ)
    if not program or not has_manager() or not lingers():
        return []
    return [
        *(program, "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"),
        *properties,
        *(f"--unit=dobby-{name}", "--"),
    ]


def has_manager() -> bool:
    """Whether a user manager runs for the account."""
    return os.path.exists(f"{_runtime_dir()}/systemd/private")


def lingers() -> bool:
    """Whether the account's user manager outlives its sessions (loginctl(1), enable-linger)."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return False
    if os.path.exists(f"/var/lib/systemd/linger/{name}"):
        return True
    program = find("loginctl", os.environ)
    if not program:
        return False
    argv = (program, "show-user", name, "--property=Linger", "--value")
    return spawn.capture(argv, cwd="/", env=os.environ)[1].strip() == b"yes"


def _runtime_dir() -> str:
    """Where the account's user manager listens; a login without PAM does not say (pam_systemd(8))."""
    return os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"


def _exec_scoped(scope: list[str], charge: Charge, ready_fd: int) -> None:
    """Carry on in the verb `supervise`, in a scope. The locks are inherited."""
    run = charge.run
    args = {
        "project": run.project,
        "label": run.label,
        "run_id": run.run_id,
        "run_fd": charge.run_fd,
        "label_fd": charge.label_fd,
        "ready_fd": ready_fd,
        "values": dict(charge.values),
        "agent_socket": charge.agent_socket,
        "launcher": charge.launcher,
        "umask": charge.umask,
    }
    fds = (charge.run_fd, charge.label_fd, ready_fd)
    exec_scoped(scope, run.home, protocol.dump_call("supervise", args), fds)


def exec_scoped(scope: list[str], home: str, call: bytes, fds: Iterable[Optional[int]]) -> None:
    """Become `systemd-run … python main.py`, which serves `call` and inherits `fds`. What is secret
    goes by a file in memory on stdin, never by argv."""
    source = os.memfd_create("call")
    durable.write_all(source, protocol.alone(call))
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    for fd in fds:
        if fd is not None:
            os.set_inheritable(fd, True)
    main = os.path.abspath(f"{os.path.dirname(__file__)}/../../main.py")
    argv = [*scope, sys.executable, "-I", "-S", main, home, "supervise"]
    spawn.default_signals()
    os.execve(argv[0], argv, {**os.environ, "XDG_RUNTIME_DIR": _runtime_dir()})
