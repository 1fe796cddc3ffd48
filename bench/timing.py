"""Whole commands, timed from outside: to their first line of output, or to their end."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CHUNK = 1 << 20


def first_line(argv: Sequence[str], env: Mapping[str, str], cwd: str, expect: bytes) -> float:
    """Seconds from the start of `argv` until its first line on stdout, which must be `expect`."""
    began = time.perf_counter()
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        _, said = process.communicate()
    if line.strip() != expect:
        raise RuntimeError(f"{argv} said {line!r}: {said.decode(errors='replace')}")
    return took


def whole(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> float:
    """Seconds until `argv` has ended, which must be well."""
    began = time.perf_counter()
    done = subprocess.run(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{argv} exited {done.returncode}: {done.stderr.decode(errors='replace')}")
    return took


def drained(argv: Sequence[str], env: Mapping[str, str], cwd: str, expect: int) -> float:
    """Seconds until all of `argv`'s output, which must be `expect` bytes, came through a pipe."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        with subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, bufsize=0
        ) as process:
            assert process.stdout is not None
            buffer, came = bytearray(CHUNK), 0
            while count := process.stdout.readinto(buffer):  # type: ignore[attr-defined]
                came += count
        took = time.perf_counter() - began
        said.seek(0)
        if process.returncode or came != expect:
            why = said.read().decode(errors="replace")
            raise RuntimeError(f"{argv} exited {process.returncode}, {came} of {expect} bytes: {why}")
    return took


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each measure once a round, in turn, so that a slow moment of the machine meets all."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def milliseconds(values: Sequence[float]) -> str:
    """Median, and smallest to largest."""
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median * 1000:7.0f} ({low * 1000:.0f}-{high * 1000:.0f})"
