"""Logs of any size and any bytes: they arrive as they are, and the client stays small."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.client.carried import launch

import dobby
from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

MOST_MEMORY_BYTES = 100_000_000
# Prints digest and length of what it was given, and the most memory it ever had (KiB, getrusage(2)).
READER = """
import hashlib, resource, sys
from dobby import Client
digest, size = hashlib.sha256(), 0
def take(data):
    global size
    digest.update(data)
    size += len(data)
Client().logs("main", take, host=sys.argv[1], follow=True)
print(digest.hexdigest(), size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def read(repo: Repo, host: Host) -> tuple[str, int, int]:
    """SHA-256 and length of the log as a client's user has it, and that client's memory in bytes."""
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__))}
    argv = [sys.executable, "-c", READER, host.name]
    done = subprocess.run(argv, cwd=repo.path, env=env, stdout=subprocess.PIPE, check=True)
    digest, size, kib = done.stdout.decode().split()
    return digest, int(size), int(kib) * 1024


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_a_line_of_100_megabytes(repo: Repo, host: Host) -> None:
    """Neither the host nor the laptop ever holds a line."""
    job = "head -c 100000000 /dev/zero | tr '\\0' x"
    assert launch(Client(cwd=repo.path), host, job).wait()["status"] == "succeeded"
    digest, size, memory = read(repo, host)
    assert (size, digest) == (100_000_000, hashlib.sha256(b"x" * 100_000_000).hexdigest())
    assert memory < MOST_MEMORY_BYTES


def test_bytes_that_are_no_text(repo: Repo, host: Host) -> None:
    """Characters that any reader's buffer cuts in two, bytes that are no UTF-8, and NULs."""
    program = "import sys; [sys.stdout.buffer.write(p) for p in %r * 9999]"
    parts = ["ä€𝄞".encode() + b"\xff\xc3\0", b"\xe2\x82", b"\r\0\x1b[2J"]
    repo.commit("writes", {"writes.py": program % (parts,)})
    assert launch(Client(cwd=repo.path), host, "python3 writes.py").wait()["status"] == "succeeded"
    whole = b"".join(parts * 9999)
    assert read(repo, host)[:2] == (hashlib.sha256(whole).hexdigest(), len(whole))


@pytest.mark.parametrize("host", ["local"], indirect=True)
def test_the_end_of_ten_gigabytes(repo: Repo, host: Host) -> None:
    """A file with a hole: its last lines are there at once."""
    log = "$DOBBY_OUTPUTS/../output.log"
    run = launch(Client(cwd=repo.path), host, f"truncate -s 10G {log}; echo; echo the end")
    assert run.wait()["log_bytes"] > 10 << 30
    said = bytearray()
    Client(cwd=repo.path).logs("main", said.extend, host=host.name, tail=1)
    assert said == b"the end\n"
