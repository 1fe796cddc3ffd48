"""The system's OpenSSH, multiplexed over a control socket of our own.

~/.ssh/config, agents, jump hosts, hardware keys and Kerberos all work because it is ssh that
does them (ssh(1), ssh_config(5)); checking of host keys is never weakened.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from dobby.core import protocol
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError, Unreachable, UsageError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERSIST_S = 600
LONGEST_SOCKET = 90  # sun_path holds 104 to 108 bytes; ssh adds a suffix of 17 while it binds
_OPTIONS = (
    *("-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=3"),
    *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", "-o", "ForwardX11=no"),
    *("-o", "ForwardAgent=no", "-o", "PermitLocalCommand=no"),
)


def check_destination(host: str) -> str:
    """`host` when ssh may be given it. Raises UsageError before any connection."""
    bad = not host or host.startswith("-") or any(c.isspace() or not c.isprintable() for c in host)
    if bad or any(c in host for c in "'\"`$;&|<>()\\"):
        raise UsageError(
            f"host {shown(host)} is no ssh destination", "give an alias, user@host or ssh://user@host:port"
        )
    return host


class Ssh:
    """One destination. `program` is ssh itself (the setting DOBBY_SSH names another)."""

    def __init__(
        self,
        host: str,
        destination: str,
        environ: Mapping[str, str],
        warn: Callable[[str], None],
        interactive: bool,
    ) -> None:
        self.host = host
        self._destination = check_destination(destination)
        self._program = environ.get("DOBBY_SSH") or "ssh"
        self._batch = "no" if interactive and sys.stdin.isatty() else "yes"
        self._socket = _socket_path(self._destination, self._program, environ, warn)
        self.connected = bool(self._socket)

    def start(self) -> subprocess.Popen[bytes]:
        self.connect()
        argv = [*self._argv(), "-T", "--", self._destination, protocol.BOOTSTRAP]
        return self._popen(argv)

    def connect(self) -> None:
        """Have a master connection, so that a call costs no handshake. Raises Unreachable."""
        if not self._socket or _is_live(self._socket):
            return
        import fcntl

        with open(f"{self._socket}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two masters would fight over one socket
            if _is_live(self._socket):
                return
            self._start_master()

    def _start_master(self) -> None:
        import tempfile

        options = ("-o", "ControlMaster=yes", "-o", f"ControlPersist={PERSIST_S}")
        argv = [*self._argv(), *options, "-N", "-f", "-T", "--", self._destination]
        with tempfile.TemporaryFile() as said:  # a pipe would stay open as long as the master
            try:
                code = subprocess.call(argv, stdin=self._stdin(), stdout=said, stderr=said)
            except FileNotFoundError:
                raise _no_ssh(self._program) from None
            said.seek(0)
            if code:
                raise self.explain(said.read().decode("utf-8", "replace"))

    def _stdin(self) -> int | None:
        return subprocess.DEVNULL if self._batch == "yes" else None

    def _argv(self) -> list[str]:
        path = self._socket or "none"
        return [
            *(self._program, *_OPTIONS, "-o", f"BatchMode={self._batch}"),
            *("-o", f"ControlPath={path}", "-o", "ControlMaster=no"),
        ]

    def _popen(self, argv: list[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
        except FileNotFoundError:
            raise _no_ssh(self._program) from None

    def explain(self, said: str) -> Unreachable:
        """ssh's own words, the last of them first."""
        words = [line.strip() for line in said.splitlines() if line.strip()]
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
            return Unreachable(
                f"host {self.host} shows another key than before, and ssh refuses it",
                "\n".join(words),
            )
        what = words[-1] if words else "the connection ended without an answer"
        return Unreachable(f"host {self.host} cannot be reached: {what}", _hint(what, self._destination))

    def shell(self, command: str) -> int:
        self.connect()
        argv = [*self._argv(), "-t", "--", self._destination, f"exec /bin/sh -c '{command}'"]
        return subprocess.call(argv)

    def rsync(self) -> tuple[list[str], str]:
        self.connect()
        return ["-e", " ".join([*self._argv(), "-T"])], f"{self._destination}:"


def _hint(what: str, destination: str) -> str:
    if "Permission denied" in what or "Too many authentication" in what:
        return f"`ssh {destination}` must log in without a question here; from a terminal dobby lets ssh ask"
    if "resolve" in what or "not known" in what:
        return "check the name, or add it to ~/.ssh/config"
    return f"try `ssh {destination}`"


def _no_ssh(program: str) -> DobbyError:
    return DobbyError(f"there is no {program} on this machine", "install OpenSSH's client")


def _is_live(path: str) -> bool:
    """Whether a master answers at the socket; a stale one is removed."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(2)
    try:
        probe.connect(path)
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        return False
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _socket_path(
    destination: str, program: str, environ: Mapping[str, str], warn: Callable[[str], None]
) -> str:
    """A short path of our own, "" where none can be trusted. It changes with ~/.ssh/config, so
    that an alias that now means another host is never answered by the old one."""
    folder = _private_dir(environ)
    if not folder:
        warn("no private directory for ssh's control socket: each call connects afresh")
        return ""
    config = os.path.expanduser("~/.ssh/config")
    state = os.stat(config).st_mtime_ns if os.path.exists(config) else 0
    name = sha256(f"{destination}\0{program}\0{state}".encode()).hexdigest()[:20]
    path = f"{folder}/{name}"
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        warn(f"{folder} is too long for ssh's control socket: each call connects afresh")
        return ""
    return path


def _private_dir(environ: Mapping[str, str]) -> str:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    for folder in (f"{runtime}/dobby" if runtime else "", f"/tmp/dobby-{os.getuid()}"):  # noqa: S108
        if not folder:
            continue
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        except OSError:
            continue
        stat = os.lstat(folder)
        ours = stat.st_uid == os.getuid() and not stat.st_mode & 0o077
        if ours and not os.path.islink(folder):
            return folder
    return ""
