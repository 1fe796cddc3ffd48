"""What goes wrong is told on stderr, which must never be what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
SAYS = """
import sys
sys.path.insert(0, sys.argv[1])
from dobby.agent import trouble
if sys.argv[2] == "carried":
    trouble.never_fails()
print("not recorded", file=sys.stderr)
try:
    1 / 0
except ZeroDivisionError:
    trouble.tell()
print("still here")
"""


def said(stderr: str, kind: str = "carried") -> str:
    with open(stderr, "ab") as file:
        argv = [sys.executable, "-I", "-S", "-B", "-c", SAYS, str(SOURCE), kind]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=file, text=True, check=False).stdout


def test_a_full_disk_ends_nobody() -> None:
    assert said("/dev/full", "plain") == ""  # or this would prove nothing
    assert said("/dev/full") == "still here\n"


def test_what_finds_room_is_there(tmp_path: Path) -> None:
    assert said(str(tmp_path / "err")) == "still here\n"
    text = (tmp_path / "err").read_text()
    assert text.startswith("not recorded\nTraceback")
    assert text.endswith("ZeroDivisionError: division by zero\n")
