"""`python -m bench.queue --runs 200 --max-running 4`: many runs at once on a host that takes a few.

On this machine (`local`), in a home of its own. Tells how fast they are accepted, whether they start in
the order in which they came, how many were ever at work at once, and what those that wait take.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import processes

DOBBY = os.path.join(os.path.dirname(sys.executable), "dobby")
# A line before and after; while the gate is shut those that have a slot keep it.
JOB = (
    'echo "+ $DOBBY_RUN_ID" >> {0}/marks; until [ -e {0}/gate ]; do sleep 0.05; done; '
    'echo "- $DOBBY_RUN_ID" >> {0}/marks'
)


class Queue:
    """A laptop and host in one temporary directory."""

    def __init__(self, folder: str, max_running: int) -> None:
        self.folder, self.repo = folder, f"{folder}/project"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOBBY_", "GIT_", "XDG_"))}
        self.env = {**kept, "HOME": folder, "DOBBY_HOME": f"{folder}/.dobby"}
        os.mkdir(f"{folder}/.dobby", 0o700)
        Path(f"{folder}/.dobby/config.toml").write_text(f"max_running = {max_running}\n")
        who = ("-c", "user.name=b", "-c", "user.email=b@example.org")
        for words in (("init", "-q", "-b", "main"), (*who, "commit", "-q", "--allow-empty", "-m", "first")):
            os.makedirs(self.repo, exist_ok=True)
            subprocess.run(["git", *words], cwd=self.repo, env=self.env, check=True)

    def ask(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            [DOBBY, *words, "--json"], cwd=self.repo, env=self.env, check=True, capture_output=True
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def launch(self, number: int) -> dict[str, Any]:
        job = JOB.format(self.folder)
        return self.ask("run", "main", job, "-l", f"job{number}", "-H", "local", "--environment", "none")

    def rows(self) -> list[dict[str, Any]]:
        return list(self.ask("ps", "-a", "-H", "local")["runs"])

    def supervisors(self) -> list[int]:
        """Their pids: by name, and by the home that is their own."""
        return processes.of_dobby("dobby-run", f"{self.folder}/.dobby")

    def order(self) -> tuple[list[str], dict[str, str]]:
        """Run ids by the number that each was given when it came, of those that had to wait; and when
        each began to prepare."""
        numbers, began = {}, {}
        for path in Path(f"{self.folder}/.dobby").glob("projects/*/jobs/*/runs/*/events.jsonl"):
            for event in map(json.loads, path.read_text().splitlines()):
                if event["kind"] == "queued":
                    numbers[event["number"]] = path.parent.name
                elif event["kind"] == "preparing":
                    began[path.parent.name] = event["at"]
        return [numbers[number] for number in sorted(numbers)], began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--max-running", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=8, help="launches under way at the same time")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bench-")
    queue = Queue(folder, args.max_running)
    try:
        _measure(queue, args.runs, args.at_once)
    finally:
        for row in queue.rows():  # where something failed
            if row["finished_at"] is None:
                queue.ask("stop", row["label"], "-H", "local")
        shutil.rmtree(folder, ignore_errors=True)


def _measure(queue: Queue, runs: int, at_once: int) -> None:
    queue.launch(0)
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(queue.launch, range(1, runs)))
    took = time.perf_counter() - began
    print(f"accepted        {runs - 1} runs in {took:.1f} s, {(runs - 1) / took:.1f} a second")
    waiting = queue.supervisors()
    pss = [processes.pss_mb(pid) for pid in waiting]
    each = sum(pss) / len(pss)
    print(f"supervisors     {len(pss)}, PSS {sum(pss):.0f} MB in all, {each:.2f} MB each")
    began = time.perf_counter()
    queue.ask("ps", "-H", "local")
    print(f"ps              {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    Path(f"{queue.folder}/gate").touch()
    rows = queue.rows()
    while any(row["finished_at"] is None for row in rows):
        time.sleep(0.5)
        rows = queue.rows()
    took = time.perf_counter() - began
    ends = {row["status"] for row in rows}
    print(f"all final       {len(rows)} runs in {took:.1f} s: {', '.join(sorted(ends))}")
    _tell_order(queue)


def _tell_order(queue: Queue) -> None:
    alive = most = 0
    for line in Path(f"{queue.folder}/marks").read_text().splitlines():
        alive += 1 if line[0] == "+" else -1
        most = max(most, alive)
    numbers, began = queue.order()
    times = [began[run_id] for run_id in numbers if run_id in began]
    kept = sum(one <= other for one, other in itertools.pairwise(times))
    print(f"at work at once {most} at most")
    print(f"order           {kept} of {len(times) - 1} neighbours prepared in the order in which they came")


if __name__ == "__main__":
    main()
