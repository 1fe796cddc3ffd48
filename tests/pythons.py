"""The interpreters on this machine that an agent may meet: one of each version from 3.9 on."""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess

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
