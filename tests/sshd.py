"""A real sshd on loopback, for an unprivileged account of its own, gone when the session ends.

As root the account is a new user; else it is the caller's own, with HOME in a temporary
directory. Sources: sshd_config(5), sshd(8), ssh_config(5).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from tests import leftovers
from tests.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALIAS = "dobbytest"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PORT_TRIES = 5


def program() -> str | None:
    """sshd's absolute path, which it wants to be started by; None where there is none."""
    return shutil.which("sshd", path=SYSTEM_PATH)


class Sshd:
    """One running sshd and the account behind it.

    `destination` is what users would give to ssh and to `-H`; `env` is what the client's
    environment needs so that its ssh knows that alias; `home` is the account's home; `uid`
    is None where the account is the caller's own; `log` is sshd's own."""

    destination = ALIAS

    def __init__(self, directory: str, user: str, home: str, mark: str) -> None:
        self.directory, self.user, self.home, self.mark = directory, user, home, mark
        uid = pwd.getpwnam(user).pw_uid
        self.uid = None if uid == os.getuid() else uid
        self.port = 0
        self.log = f"{directory}/sshd.log"
        self.ssh = f"{directory}/ssh"
        self.env = {"DOBBY_SSH": self.ssh}
        self._process: subprocess.Popen[bytes] | None = None
        self._make_keys()

    def run(
        self, argv: Sequence[str], *, input: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """A program in the account, over a connection of its own; output as bytes."""
        return subprocess.run(
            [self.ssh, self.destination, shlex.join(argv)], input=input, capture_output=True, check=check
        )

    def start(self) -> None:
        """Listen, on a free port, which stays the same over stop and start."""
        for _ in range(PORT_TRIES):
            self.port = self.port or _free_port()
            self._configure()
            if self._listens():
                return
            self.stop()
            self.port = 0  # somebody took it between our look and sshd's bind
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise AssertionError(f"sshd does not start; its log says: {log.read()[-2000:]}")

    def stop(self) -> None:
        """The host's sshd dies, and every connection with it; what it had started lives on."""
        if self._process is None:
            return
        sessions = leftovers.descendants(self._process.pid)
        self._process.terminate()
        self._process.wait()
        self._process = None
        leftovers.kill_all([pid for pid in sessions if _is_sshd(pid)])

    def _make_keys(self) -> None:
        for name in ("host_key", "client_key"):
            words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{self.directory}/{name}"]
            subprocess.run(["ssh-keygen", *words], check=True)
        shutil.copy(f"{self.directory}/client_key.pub", f"{self.directory}/authorized_keys")
        os.chmod(f"{self.directory}/authorized_keys", 0o644)

    def _configure(self) -> None:
        variables = {leftovers.MARK: self.mark}
        if self.uid is None:
            variables["HOME"] = self.home
        write(f"{self.directory}/sshd_config", [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.directory}/host_key",
            f"AuthorizedKeysFile {self.directory}/authorized_keys",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "PrintMotd no",
            "MaxSessions 100",
            "MaxStartups 100",
            f"AllowUsers {self.user}",
            "Subsystem sftp internal-sftp",
            "SetEnv " + " ".join(f"{name}={value}" for name, value in variables.items()),
            *self._penalties(),
        ])  # fmt: skip
        with open(f"{self.directory}/host_key.pub", encoding="ascii") as file:
            host_key = file.read().strip()
        write(f"{self.directory}/known_hosts", [f"[127.0.0.1]:{self.port} {host_key}"])
        write(f"{self.directory}/ssh_config", [
            f"Host {ALIAS}",
            "  HostName 127.0.0.1",
            f"  Port {self.port}",
            f"  User {self.user}",
            f"  IdentityFile {self.directory}/client_key",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
            f"  UserKnownHostsFile {self.directory}/known_hosts",
            "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking yes",
        ])  # fmt: skip
        # ssh reads ~/.ssh of the account, whatever HOME says: a program of ours names the file.
        real = shutil.which("ssh") or "ssh"
        write(self.ssh, ["#!/bin/sh", f'exec {real} -F {self.directory}/ssh_config "$@"'], 0o755)

    def _penalties(self) -> list[str]:
        """OpenSSH 9.8 and later shut out addresses that fail often, as fault tests do."""
        option = "PerSourcePenalties=no"
        known = subprocess.run(
            [str(program()), "-T", "-f", "/dev/null", "-h", f"{self.directory}/host_key", "-o", option],
            capture_output=True,
            check=False,
        )
        return [] if b"Bad configuration option" in known.stderr else [option.replace("=", " ")]

    def _listens(self) -> bool:
        self._process = process = subprocess.Popen(
            [str(program()), "-D", "-f", f"{self.directory}/sshd_config", "-E", self.log],
            stdin=subprocess.DEVNULL,
        )
        until(lambda: process.poll() is not None or _greets(self.port), evidence=lambda: self.log)
        return process.poll() is None


@contextlib.contextmanager
def serve(mark: str) -> Iterator[Sshd]:
    """An sshd with its account. At the end all that the account runs is ended and named."""
    directory = tempfile.mkdtemp(prefix="dobby-sshd-")
    os.chmod(directory, 0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        if os.getuid() == 0:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)
            user, home = stack.enter_context(account())
        else:
            user, home = pwd.getpwuid(os.getuid()).pw_name, f"{directory}/home"
            os.mkdir(home, 0o700)
        sshd = Sshd(directory, user, home, mark)
        stack.callback(sshd.stop)
        sshd.start()
        yield sshd
        sshd.stop()
        left = leftovers.reap(mark, sshd.uid)
    assert not left, f"left running on the test host: {'; '.join(left)}"


@contextlib.contextmanager
def account() -> Iterator[tuple[str, str]]:
    """A new user, removed with its home. The comment holds our pid, so that users left by a
    session that was killed are recognised and removed by the next."""
    for entry in pwd.getpwall():
        if entry.pw_name.startswith(ALIAS) and not os.path.exists(f"/proc/{entry.pw_gecos}"):
            leftovers.reap("", entry.pw_uid, grace_s=0.0)  # the next user may get this uid
            subprocess.run(["userdel", "-r", "-f", entry.pw_name], capture_output=True, check=False)
    user = ALIAS + secrets.token_hex(4)
    _retried(["useradd", "-m", "-s", "/bin/bash", "-c", str(os.getpid()), user])
    try:
        # "!" means locked, which sshd refuses where PAM is not asked; "*" is only "no password".
        _retried(["usermod", "-p", "*", user])
        yield user, pwd.getpwnam(user).pw_dir
    finally:
        found = pwd.getpwnam(user)
        leftovers.reap("", found.pw_uid, grace_s=0.5)
        # userdel holds /etc/passwd's lock until all is removed, which may be gigabytes.
        for item in os.scandir(found.pw_dir):
            is_dir = item.is_dir(follow_symlinks=False)
            shutil.rmtree(item.path, ignore_errors=True) if is_dir else os.unlink(item.path)
        _retried(["userdel", "-r", "-f", user])


def _retried(argv: list[str]) -> None:
    """Another test worker may hold /etc/passwd's lock: then once more."""
    said: list[str] = []

    def done() -> bool:
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        said[:] = [result.stderr]
        if result.returncode and "lock" not in result.stderr:
            raise RuntimeError(f"{shlex.join(argv)}: {result.stderr.strip()}")
        return result.returncode == 0

    until(done, 120, evidence=lambda: said)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _is_sshd(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().startswith(b"sshd")
    except OSError:
        return False


def write(path: str, lines: list[str], mode: int = 0o644) -> None:
    """A text file with this mode, whatever the umask."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.chmod(path, mode)


def main() -> int:
    """`python -m tests.sshd`: serve until stdin ends, for demonstrations; prints what to set."""
    mark = secrets.token_hex(8)
    with serve(mark) as sshd:
        print(f"DOBBY_SSH={shlex.quote(sshd.ssh)} HOST={sshd.destination}", flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
