"""The system's OpenSSH, multiplexed over a control socket of our own.

~/.ssh/config, agents, jump hosts, hardware keys and Kerberos all work because it is ssh that
does them (ssh(1), ssh_config(5)); checking of host keys is never weakened.
"""

from __future__ import annotations

import os
import sys

from dobby.core import accounts, protocol
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError, Unreachable, UsageError
from dobby.core.names import shown
from dobby.program import Program
from dobby.transport import PATIENCE_S, ended, errors_file, last_words, read_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERSIST_S = 600
LONGEST_SOCKET = 90  # sun_path holds 104 to 108 bytes; ssh adds a suffix of 17 while it binds
# ConnectTimeout also ends a handshake that stalls. Where a person is there to ask, a jump host's
# question for a second factor counts towards it.
CONNECT_S, CONNECT_ASKING_S = 10, 60
_OPTIONS = (
    *("-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=3"),
    *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", "-o", "ForwardX11=no"),
    *("-o", "PermitLocalCommand=no"),
)
_FAILED = 255  # ssh's own exit code; also where a signal ended the remote program
_NEVER_IN = (
    *("resolve hostname", "Name or service not known", "Connection refused", "No route to host"),
    *("Network is unreachable", "Operation timed out", "Connection timed out", "Bad configuration"),
    *("Bad owner or permissions", "Connection closed by UNKNOWN", "timed out"),
)
_REFUSED = ("Permission denied", "Too many authentication failures", "Host key verification failed")


def check_destination(host: str) -> str:
    """`host` when ssh may be given it. Raises UsageError before any connection."""
    words = host.removeprefix("ssh://").split("@")  # the name of somebody, and of a machine
    bad = not words[-1] or any(word.startswith(("-", "/", ":")) for word in words)
    bad = bad or any(c.isspace() or not c.isprintable() for c in host)
    if bad or not host.isascii() or any(c in host for c in "'\"`$;&|<>(){}\\"):
        raise UsageError(
            f"host {shown(host)} is no ssh destination", "give an alias, user@host or ssh://user@host:port"
        )
    return host


class Ssh:
    """One destination, and the account to become there ("" is the one that ssh lets in). ssh itself
    is found by name (the setting DOBBY_SSH names another)."""

    def __init__(
        self,
        host: str,
        destination: str,
        environ: Mapping[str, str],
        warn: Callable[[str], None],
        interactive: bool,
        become: str = "",
        limit_s: float | None = None,
        forward_agent: bool = False,
    ) -> None:
        self.host = host
        self._become = become
        self._limit_s = limit_s  # of whoever asks several hosts
        self._destination = check_destination(destination)
        self._program = environ.get("DOBBY_SSH") or "ssh"
        self._asks = interactive and sys.stdin.isatty()
        # A master forwards what it was started with, and to whoever comes next: not the agent.
        self._forwarding = "yes" if forward_agent else "no"
        shared = not forward_agent
        self._socket = _socket_path(self._destination, self._program, environ, warn) if shared else ""
        self.patience_s = _patience_s(bool(self._socket), self._asks)
        self._seen_live = False  # the master, just now

    def is_near(self) -> bool:
        self._seen_live = bool(self._socket) and _is_live(self._socket)
        return self._seen_live

    def start(self, errors: int) -> Program:
        self.connect()
        argv = [*self._argv(), "-T", "--", self._destination, self._command(protocol.BOOTSTRAP)]
        try:
            return Program(argv, errors, self._env())
        except FileNotFoundError:
            raise _no_ssh(self._program) from None

    def _command(self, command: str) -> str:
        return accounts.as_account(command, self._become)

    def connect(self) -> str:
        """By a master connection, where its socket has a place."""
        if not self._socket:
            return "each"
        seen, self._seen_live = self._seen_live, False
        if seen or _is_live(self._socket):
            return "open"
        import fcntl

        with open(f"{self._socket}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two masters would fight over one socket
            if _is_live(self._socket):
                return "open"
            self._start_master()
        return "made"

    def _start_master(self) -> None:
        import subprocess

        options = ("-o", "ControlMaster=yes", "-o", f"ControlPersist={PERSIST_S}")
        argv = [*self._argv()[:-2], *options, "-N", "-f", "-T", "--", self._destination]
        stdin = None if self._asks else subprocess.DEVNULL
        said = errors_file()  # a pipe would stay open as long as the master
        try:
            code = subprocess.call(argv, stdin=stdin, stdout=said, stderr=said, env=self._env())
            if code:
                raise self.explain(read_errors(said), code, here=False, called=False)
        except FileNotFoundError:
            raise _no_ssh(self._program) from None
        finally:
            os.close(said)

    def _argv(self) -> list[str]:
        path = self._socket.replace("%", "%%") or "none"
        seconds = CONNECT_ASKING_S if self._asks else CONNECT_S
        if self._limit_s is not None:
            seconds = max(1, min(seconds, int(self._limit_s)))
        return [
            *(self._program, *_OPTIONS, "-o", f"ForwardAgent={self._forwarding}"),
            *("-o", f"BatchMode={'no' if self._asks else 'yes'}"),
            *("-o", f"ConnectTimeout={seconds}", "-o", f"ControlPath={path}", "-o", "ControlMaster=no"),
        ]

    def _env(self) -> dict[str, str]:
        """BatchMode does not reach the ssh of a jump host, which would ask on /dev/tty."""
        if self._asks:
            return {**os.environ}
        return {**os.environ, "SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force"}

    def explain(self, said: str, code: int, here: bool, called: bool = True) -> Unreachable:
        """ssh's own words. `called`: a call was sent on this session, or was about to be."""
        what = last_words(said)
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
            words = "\n".join(line.strip() for line in said.splitlines() if line.strip())
            message = f"host {self.host} shows another key than before, and ssh refuses it"
            return ended(message, words, reached=False, refused=True)
        if here and code == _FAILED:
            return ended(
                f"the connection to host {self.host} was lost: {what or 'ssh gave no reason'}", reached=True
            )
        if self._become and not here and 0 < code < _FAILED:
            sentence, hint = accounts.what_sudo_said(self.host, self._become, said, code)
            return ended(sentence, hint, reached=False, refused=True)
        if code != _FAILED:
            why = what or "it said nothing"
            return ended(
                f"host {self.host} did not run dobby's agent: {why} (exit {code})",
                f"try `ssh {self._destination} true`",
                reached=here and code < 0,
                maybe=here,
                refused=code > 0,
            )
        refused = any(words in said for words in _REFUSED)
        never_in = refused or any(words in said for words in _NEVER_IN)
        return ended(
            f"host {self.host} cannot be reached: {what or 'ssh gave no reason'}",
            _hint(what, self._destination),
            reached=False,
            maybe=called and not never_in,
            refused=refused,
        )

    def abandon(self, program: Program) -> None:
        program.kill()  # our ssh alone; the host's end lives on
        program.wait()

    def shell(self, command: str) -> int:
        import subprocess

        self.connect()
        argv = [*self._argv(), "-t", "--", self._destination, self._command(f"exec /bin/sh -c '{command}'")]
        return subprocess.call(argv, env=self._env())

    def rsync(self) -> tuple[list[str], str]:
        """rsync puts its idea of a host behind these words, and its remote command behind that:
        `env`, which then runs that command, so that a destination of any form will do."""
        self.connect()
        words = [*self._argv(), "-T", "--", self._destination, *accounts.prefix(self._become).split()]
        return ["-e", " ".join(_for_rsync(word) for word in words)], "env:"


def _patience_s(multiplexed: bool, asks: bool) -> float | None:
    if multiplexed:
        return PATIENCE_S
    return None if asks else CONNECT_S + PATIENCE_S


def _for_rsync(word: str) -> str:
    """rsync(1), "--rsh": words are split at spaces; a quote is doubled within its own kind."""
    return "'" + word.replace("'", "''") + "'" if " " in word or "'" in word else word


def _hint(what: str, destination: str) -> str:
    if "Permission denied" in what or "Too many authentication" in what:
        return (
            f"`ssh {destination}` must log in without a question here; from a terminal dobby lets ssh ask"
        )
    if "resolve" in what or "not known" in what:
        return "check the name, or add it to ~/.ssh/config"
    return f"try `ssh {destination}`"


def _no_ssh(program: str) -> DobbyError:
    return DobbyError(f"there is no {program} on this machine", "install OpenSSH's client")


def _is_live(path: str) -> bool:
    """Whether a master answers at the socket; a stale one is removed (unix(7))."""
    from _socket import AF_UNIX, SOCK_STREAM, socket  # what `socket` puts around it is 4 ms

    probe = socket(AF_UNIX, SOCK_STREAM)
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
    config = os.path.expanduser("~/.ssh/config")
    state = os.stat(config).st_mtime_ns if os.path.exists(config) else 0
    name = sha256(f"{destination}\0{program}\0{state}".encode("utf-8", "surrogateescape")).hexdigest()[:20]
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    for folder in (f"{runtime}/dobby" if runtime else "", f"/tmp/dobby-{os.getuid()}"):  # noqa: S108
        if not folder:
            continue
        path = f"{folder}/{name}"
        problem = "is too long" if len(os.fsencode(path)) > LONGEST_SOCKET else _unfit(folder)
        if not problem:
            return path
        warn(f"warning: {folder} {problem}, so ssh's control socket does not go there")
    warn("warning: there is no place for ssh's control socket, so each call connects afresh")
    return ""


def _unfit(folder: str) -> str:
    """What keeps a socket of ours from being made there; "" when nothing does."""
    if not folder.startswith("/") or any(c.isspace() or c in "\"'\\" for c in folder):
        return "is no plain path"
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    stat = os.lstat(folder)
    if os.path.islink(folder) or not os.path.isdir(folder):
        return "is no directory"
    if stat.st_uid != os.getuid():
        return "belongs to somebody else"
    if stat.st_mode & 0o077:
        return f"is open to others (chmod 700 {folder} mends it)"
    return ""
