"""The interpreters on this machine that an agent may meet: one of each version from 3.9 on."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (3, 9)
# Read when the tests are collected: inside a test, HOME is the test's own.
PLACES = [os.path.expanduser(p) for p in ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin")]


@functools.cache
def found() -> dict[str, str]:
    """Version, e.g. "3.9", to path; sorted, oldest first."""
    candidates = [shutil.which("python3")] + [shutil.which(f"python3.{minor}") for minor in range(9, 20)]
    for place in PLACES:
        candidates += sorted(glob.glob(f"{place}/python3"))
    versions: dict[tuple[int, ...], str] = {}
    for path in filter(None, candidates):
        answer = _ask(path)
        if answer and answer[0] >= OLDEST:
            versions.setdefault(*answer)
    return {f"{major}.{minor}": path for (major, minor), path in sorted(versions.items())}


def _ask(path: str) -> tuple[tuple[int, ...], str] | None:
    """Version and real path; a version manager's shim may find no interpreter behind it."""
    script = "import sys; print(*sys.version_info[:2], sys.executable)"
    result = subprocess.run([path, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    if result.returncode:
        return None
    major, minor, executable = result.stdout.strip().split(" ", 2)
    return (int(major), int(minor)), executable


NOBODY = 65534
SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")


@functools.cache
def for_anyone() -> str:
    """An interpreter that another account may run; "" where there is none. Root's own, in root's
    home, is not one."""
    if os.getuid() != 0:
        return sys.executable
    for path in ("/usr/bin/python3", *found().values(), sys.executable):
        argv = [path, "-I", "-S", "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"]
        try:
            done = subprocess.run(
                argv, user=NOBODY, group=NOBODY, cwd="/", stderr=subprocess.DEVNULL, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return ""


@contextlib.contextmanager
def sources_for_anyone() -> Iterator[str]:
    """A copy of src/ that another account may read, wherever this checkout lies."""
    top = tempfile.mkdtemp(prefix="dobby-src-")
    try:
        shutil.copytree(SOURCE, f"{top}/src", ignore=shutil.ignore_patterns("__pycache__"))
        for folder, _, files in os.walk(top):
            os.chmod(folder, 0o755)
            for name in files:
                os.chmod(os.path.join(folder, name), 0o644)
        yield f"{top}/src"
    finally:
        shutil.rmtree(top)
