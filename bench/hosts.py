"""`python -m bench.hosts`: `dobby ps` over eight hosts, two of them dead. As root, on Linux, with sshd.

Each host is a network namespace with an address and an sshd of its own, for a user and a dobby's
directory of its own; the dead ones drop every packet. `--hosts N` (8), `--dead N` (2), `--rounds N` (5).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from tests import gitrepo, leftovers
from tests import sshd as sshd_module

from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NETWORK = "10.213.77"
MARK = secrets.token_hex(8)


class Net:
    """A bridge, and a namespace behind it for each host: host `n` is NETWORK.(10 + n)."""

    def __init__(self, count: int) -> None:
        tag = f"db{os.getpid() % 10000}"
        self.bridge, self.count, self._tag = f"{tag}br", count, tag

    def __enter__(self) -> Net:
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        for number in range(self.count):
            space, near, far = self.space(number), f"{self._tag}n{number}", f"{self._tag}f{number}"
            _ip("netns", "add", space)
            _ip("link", "add", near, "type", "veth", "peer", "name", far)
            _ip("link", "set", near, "master", self.bridge, "up")
            _ip("link", "set", far, "netns", space)
            _ip("-n", space, "addr", "add", f"{address(number)}/24", "dev", far)
            _ip("-n", space, "link", "set", far, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for number in range(self.count):
            subprocess.run(["ip", "netns", "del", self.space(number)], check=False)
        subprocess.run(["ip", "link", "del", self.bridge], check=False)

    def space(self, number: int) -> str:
        return f"{self._tag}h{number}"

    def kill(self, number: int) -> None:
        """Packets to it are dropped from now on: no refusal, no answer."""
        drop = ["iptables", "-A", "INPUT", "-j", "DROP"]
        subprocess.run(["ip", "netns", "exec", self.space(number), *drop], check=True)


def address(number: int) -> str:
    return f"{NETWORK}.{10 + number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def hosts(net: Net, directory: str) -> Iterator[str]:
    """An sshd in each namespace; the program to set DOBBY_SSH to, which knows them as h0, h1 …"""
    os.makedirs("/run/sshd", 0o755, exist_ok=True)
    for name in ("host_key", "client_key"):
        words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{directory}/{name}"]
        subprocess.run(["ssh-keygen", *words], check=True)
    shutil.copy(f"{directory}/client_key.pub", f"{directory}/authorized_keys")
    os.chmod(f"{directory}/authorized_keys", 0o644)
    with contextlib.ExitStack() as stack:
        user, home = stack.enter_context(sshd_module.account())
        aliases = []
        for number in range(net.count):
            stack.callback(_end, _sshd(net, number, user, home, directory))
            aliases += [f"Host h{number}", f"  HostName {address(number)}"]
        sshd_module.write(f"{directory}/ssh_config", [
            *aliases,
            "Host *",
            "  Port 2222",
            f"  User {user}",
            f"  IdentityFile {directory}/client_key",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {directory}/known_hosts",
            "  StrictHostKeyChecking accept-new",
        ])  # fmt: skip
        program = f"{directory}/ssh"
        sshd_module.write(program, ["#!/bin/sh", f'exec ssh -F {directory}/ssh_config "$@"'], 0o755)
        yield program


def _sshd(net: Net, number: int, user: str, home: str, directory: str) -> subprocess.Popen[bytes]:
    config = f"{directory}/sshd_config{number}"
    sshd_module.write(config, [
        "Port 2222",
        f"ListenAddress {address(number)}",
        f"HostKey {directory}/host_key",
        f"AuthorizedKeysFile {directory}/authorized_keys",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        f"AllowUsers {user}",
        f"SetEnv DOBBY_HOME={home}/host{number} {leftovers.MARK}={MARK}",
    ])  # fmt: skip
    words = [str(sshd_module.program()), "-D", "-f", config, "-E", f"{directory}/sshd{number}.log"]
    return subprocess.Popen(["ip", "netns", "exec", net.space(number), *words], stdin=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def measure(rounds: int, call: Callable[[], object]) -> str:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--dead", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if os.getuid() != 0 or not shutil.which("ip") or not shutil.which("iptables"):
        sys.exit("namespaces are root's to make, with ip (iproute2) and iptables")
    with tempfile.TemporaryDirectory() as directory, Net(args.hosts) as net:
        os.chmod(directory, 0o755)
        os.environ.update(
            HOME=directory, XDG_RUNTIME_DIR=directory, DOBBY_CONFIG=f"{directory}/config.toml"
        )
        with open(f"{directory}/config.toml", "w") as file:
            file.writelines(f"[host.h{number}]\n" for number in range(args.hosts))
        with hosts(net, directory) as program:
            os.environ["DOBBY_SSH"] = program
            try:
                report(args, net, directory)
            finally:
                leftovers.reap(MARK, grace_s=0.5)
    return 0


def report(args: argparse.Namespace, net: Net, directory: str) -> None:
    repo = gitrepo.example(f"{directory}/repo", "sha1")
    client = Client(cwd=repo.path)
    for number in range(args.hosts):
        client.run("main", "true", host=f"h{number}", environment=("none",), label=f"job{number}")
    alive = client.ps()
    print(f"{args.hosts} hosts, all alive: {measure(args.rounds, client.ps)} for {len(alive.runs)} rows")
    for number in range(args.dead):
        net.kill(number)
    early: list[float] = []
    began = 0.0

    def ps() -> None:
        nonlocal began
        began = time.perf_counter()
        client.ps(meanwhile=lambda found: early.append(time.perf_counter() - began))

    whole = measure(args.rounds, ps)
    print(f"{args.dead} of them dead: {whole}; the others' rows after {statistics.median(early):.2f} s")
    for host in client.ps().hosts:
        if not host["reachable"]:
            print(f"  {host['host']}: {host['error']}")


if __name__ == "__main__":
    sys.exit(main())
