"""A host without /proc, pidfds, subreapers and inotify, as macOS is: what must work there does.

It is this machine, with an agent whose few looks at what only Linux has find nothing; `ps` and
signals are real. See docs/platforms.md for what is weaker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import stewards
from tests.client.carried import await_gone

if TYPE_CHECKING:
    from tests.gitrepo import Repo

SOURCE = Path(__file__).parents[2] / "src" / "dobby"
TAKEN_AWAY = {
    "agent/processes.py": [
        ('PROC = "/proc"', 'PROC = "/nonexistent"'),
        ("os.pidfd_open(", "os.no_pidfd_open("),
    ],
    "agent/clock.py": [('"/proc/sys/kernel/random/boot_id"', '"/nonexistent"')],
    "agent/inotify.py": [('os.uname().sysname != "Linux"', "True")],
}

SCRIPT = """
import json, os, select, signal, sys
from dobby import Busy, Client
client, jobs = Client(), sys.argv[1]

def launch(command, **options):
    return client.run("main", command, host="local", environment=("none",), **options)

def pause():
    select.select([], [], [], 0.02)

def follow(run):
    said = bytearray()
    row = client.logs(run.label, said.extend, run=run.run_id, follow=True)
    return [row["status"], row["exit_code"], row["note"], said.decode()]

def events(run):
    with open(f"{jobs}/main/runs/{run.run_id}/events.jsonl") as file:
        return [json.loads(line) for line in file]

answer = {}
answer["end"] = follow(launch("for n in 1 2 3; do echo $n; sleep 0.1; done; exit 7"))
answer["again"] = follow(launch("echo again"))
note = "echo $BASHPID >> $DOBBY_OUTPUTS/pids"
run = launch(f"(trap '' INT; {note}; sleep 300) & {note}; wait", grace="0.3s")
pids = f"{jobs}/main/runs/{run.run_id}/outputs/pids"
while not os.path.exists(pids) or len(open(pids).read().split()) < 2: pause()
try:
    launch("true")
except Busy as error:
    answer["busy"] = error.message
answer["pids"] = [int(line) for line in open(pids)]
answer["stop"] = client.stop("main")["status"]
answer["after stop"] = follow(launch("echo after"))
run = launch("sleep 0.5; exit 5")
while "wrapper" not in events(run)[-1]: pause()
os.kill(next(e for e in events(run) if "supervisor" in e)["supervisor"]["pid"], signal.SIGKILL)
answer["supervisor killed"] = follow(run)[:2]
answer["timeout"] = follow(launch("sleep 300", timeout="0.3s", grace="0.1s"))[0]
answer["setup"] = client.run("main", "true", host="local", environment=("none",), setup="sleep 300").run_id
answer["setup stopped"] = client.stop("main")["status"]
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with all that only Linux has taken away."""
    top = tmp_path_factory.mktemp("plain")
    shutil.copytree(SOURCE, top / "dobby", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in TAKEN_AWAY.items():
        file = top / "dobby" / name
        text = file.read_text()
        for old, new in changes:
            assert old in text, f"{name} no longer has {old}"
            text = text.replace(old, new)
        file.write_text(text)
    return top


@pytest.fixture
def answer(plain: Path, repo: Repo, isolated: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"{isolated}/.dobby/projects/project/jobs"],
        cwd=repo.path,
        env={**os.environ, "PYTHONPATH": str(plain), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    stewards.end(isolated / ".dobby")  # nameless here: nobody else ends it
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_runs_end_are_followed_and_stopped(answer: dict[str, Any]) -> None:
    assert answer["end"] == ["failed", 7, "", "1\n2\n3\n"]
    assert answer["again"] == ["succeeded", 0, "", "again\n"]
    assert "main is busy: run" in answer["busy"]
    assert answer["stop"] == "stopped"
    await_gone(*answer["pids"])
    assert answer["after stop"] == ["succeeded", 0, "", "after\n"]
    assert answer["supervisor killed"] == ["failed", 5]
    assert answer["timeout"] == "timed_out"
    assert answer["setup stopped"] == "stopped"
