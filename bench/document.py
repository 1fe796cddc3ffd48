"""docs/performance.md: the part between two marks is written by `python -m bench --write`."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import repos, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.place import Place
    from bench.table import Row

PATH = os.path.join(os.path.dirname(os.path.dirname(__file__)), "docs", "performance.md")
BEGIN, END = "<!-- written by python -m bench --write -->", "<!-- end of what is written -->"


def write(rows: Sequence[Row], setting: str) -> None:
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(replaced(text, f"{setting}\n\n{table.markdown(rows)}"))


def replaced(text: str, new: str) -> str:
    """`text` with `new` between the two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PATH} lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def setting(place: Place, rounds: int) -> str:
    """Where and with what it was measured, as a list in Markdown."""
    host = place.sshd.run(["python3", "-c", "import sys; print(sys.executable, sys.version.split()[0])"])
    lines = [
        f"{time.strftime('%d %B %Y', time.gmtime())}, `python -m bench --rounds {rounds}`",
        f"machine: {os.cpu_count()} cores ({_cpu()}), {_memory_gb()} GB, {platform.system()} "
        f"{platform.release()}, {_filesystem(place.folder)}; load before: {os.getloadavg()[0]:.1f}",
        f"the laptop's Python: {platform.python_version()}; the host's: {host.stdout.decode().strip()}",
        f"{_said('git', '--version')}; {_said('ssh', '-V').split(',')[0]}; peers: {_peers()}",
        *(f"`{name}`: {_made_of(name)}" for name in repos.MADE_OF),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _made_of(name: str) -> str:
    parts = [f"{copies} x {package.replace('==', ' ')}" for package, copies in repos.MADE_OF[name].items()]
    heavy = f" and {repos.HEAVY_BYTES / 1e6:.0f} MB that no compression makes small"
    return f"{' + '.join(parts)}{heavy if name == repos.HEAVY else ''}, {repos.COMMITS} commits"


def _peers() -> str:
    argv = ["dpkg-query", "-W", "-f", "${Package} ${Version}, ", "dtach", "task-spooler", "nq"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "of unknown version"
    return done.stdout.strip(", ") or "none"


def _cpu() -> str:
    with open("/proc/cpuinfo") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _filesystem(path: str) -> str:
    return subprocess.run(
        ["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True
    ).stdout.strip()


def _said(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).strip()


def check_all(groups: Sequence[str], known: Sequence[str]) -> None:
    if list(groups) != list(known):
        sys.exit("--write takes a run of all groups: a table is of one run")
