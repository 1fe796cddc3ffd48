"""A real podman for tests, with a store of the test's own and an image made of this system's shell.

What a box without systemd needs to be told stands in files that the host's settings name, as an
administrator would; dobby itself passes none of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host

IMAGE = "localhost/small:1"
PROGRAMS = ("bash", "sh", "cat", "env", "id", "ls", "sleep", "stat", "touch")
ENGINE = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
netns = "host"
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
"""
STORE = '[storage]\ndriver = "vfs"\ngraphroot = "{top}/graph"\nrunroot = "{top}/run"\n'


class Podman:
    """podman as the account behind `host` has it; `top` is a directory of that account."""

    def __init__(self, host: Host, top: str) -> None:
        self.host = host
        self.variables = {
            "CONTAINERS_CONF": f"{top}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{top}/storage.conf",
        }

    def __call__(self, *words: str, input: bytes = b"", check: bool = True) -> str:
        pairs = [f"{name}={value}" for name, value in self.variables.items()]
        return self.host.run(["env", *pairs, "podman", *words], input=input, check=check).decode()

    def containers(self) -> list[str]:
        """The names of all that podman knows, living or not."""
        return self("ps", "--all", "--format", "{{.Names}}").split()

    def settings(self) -> str:
        return "[variables]\n" + "".join(f'{name} = "{value}"\n' for name, value in self.variables.items())


def pack_image(path: str) -> None:
    """A tar of a few programs with their libraries, from this very system."""
    with tarfile.open(path, "w") as tar:
        for program in PROGRAMS:
            found = shutil.which(program, path="/usr/bin:/bin") or pytest.skip(
                f"there is no {program} here"
            )
            ldd = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
            libraries = [word for word in ldd.split() if word.startswith("/")]
            for name, source in [(f"bin/{program}", found), *((one[1:], one) for one in libraries)]:
                if name not in tar.getnames():
                    tar.add(os.path.realpath(source), name)
        for name in ("proc", "sys", "dev", "etc"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        temp = tarfile.TarInfo("tmp")
        temp.type, temp.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temp)


def serve(host: Host) -> Iterator[Podman]:
    """Yields once; skips where podman cannot run. The directory is gone afterwards."""
    if not shutil.which("podman"):
        pytest.skip("there is no podman here: install podman")
    top = tempfile.mkdtemp(prefix="dc-")
    podman = Podman(host, top)
    try:
        for name, text in {"containers.conf": ENGINE, "storage.conf": STORE.format(top=top)}.items():
            with open(f"{top}/{name}", "w") as file:
                file.write(text)
        if host.sshd and host.sshd.uid:
            os.chown(top, host.sshd.uid, -1)
        pack_image(f"{top}/image.tar")
        os.chmod(f"{top}/image.tar", 0o644)
        try:
            podman("import", f"{top}/image.tar", IMAGE)
            podman("run", "--rm", "--log-driver", "none", IMAGE, "sh", "-c", ":")
        except subprocess.CalledProcessError as failed:
            said = (failed.stderr or b"").decode(errors="replace").strip()
            pytest.skip(f"podman cannot run a container here: {said[-200:]}")
        os.makedirs(host.home, 0o700, exist_ok=True)
        with open(f"{host.home}/config.toml", "w") as file:
            file.write(podman.settings())
        if host.sshd and host.sshd.uid:
            os.chown(host.home, host.sshd.uid, -1)
            os.chown(f"{host.home}/config.toml", host.sshd.uid, -1)
        yield podman
    finally:
        podman("system", "migrate", check=False)  # ends the process that a rootless podman leaves waiting
        shutil.rmtree(top)
