"""The caller's ssh agent, which a launch may bring along for the set-up and not for the command.

The socket is the connection's own (sshd makes it, and takes it away), so the launch's session stays
until the command starts; its end before that is the end of the set-up.
"""

from __future__ import annotations

import os

from dobby.agent import callers, processes, signal
from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.agent.charge import Charge

VARIABLE = "SSH_AUTH_SOCK"
LOST = "the connection to the laptop was lost, and with it the ssh agent that this set-up was given"


def reachable() -> str:
    """The socket's path. Raises UsageError where this account has none that answers."""
    path = os.environ.get(VARIABLE, "")
    if path and _answers(path):
        return path
    if callers.login():
        raise UsageError(
            f"the ssh agent of {callers.login()} cannot be reached by the account that they become here",
            "leave --forward-agent out, or give that account a key of its own",
        )
    raise UsageError(
        f"no ssh agent came along to {os.uname().nodename}: there is none on the laptop "
        "(SSH_AUTH_SOCK), or the sshd here forwards none (AllowAgentForwarding)",
        "start one (eval $(ssh-agent); ssh-add), or leave --forward-agent out",
    )


def watch(charge: Charge) -> None:
    """SIGTERM to this process when the session that launched it ends (prctl(2)); elsewhere than on
    Linux a lost session is noticed when a step fails for it. Raises SIGTERM at once where it has
    ended before."""
    if charge.agent_socket:
        processes.signal_at_parents_end(signal.SIGTERM)
        if is_lost(charge):
            os.kill(os.getpid(), signal.SIGTERM)


def unwatch(charge: Charge) -> None:
    if charge.agent_socket:
        processes.signal_at_parents_end(0)


def is_lost(charge: Charge) -> bool:
    """Whether the set-up had an agent, and has it no longer."""
    gone = os.getppid() != charge.launcher
    return bool(charge.agent_socket) and (gone or not _answers(charge.agent_socket))


def for_steps(env: Mapping[str, str], charge: Charge) -> dict[str, str]:
    return {**env, VARIABLE: charge.agent_socket} if charge.agent_socket else dict(env)


def _answers(path: str) -> bool:
    import socket  # takes 4 ms, and few launches bring an agent along

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
