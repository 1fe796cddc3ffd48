"""`python -m bench.notices`: how soon people are told, that no outage loses a notice, and what the
steward costs while it waits. On `local`, with a real HTTP service on loopback.

`--runs N` (default 50) for the latencies, `--outages N` (default 100).
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import statistics
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from bench import processes, repos
from dobby import Client

if TYPE_CHECKING:
    from collections.abc import Callable

ENDED = 'date +%s.%N > "$DOBBY_OUTPUTS/ended"'
OUTAGES = ("500", "429", "drop", "redirect")


class Service:
    """Takes notices; `trouble(event id)` says how the next answer for it fails, None: it does not."""

    def __init__(self) -> None:
        self.came: dict[str, list[float]] = collections.defaultdict(list)  # accepted, by event id
        self.trouble: Callable[[str], str | None] = lambda event_id: None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                notice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.answer(self, notice["event_id"])

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def answer(self, request: BaseHTTPRequestHandler, event_id: str) -> None:
        kind = self.trouble(event_id)
        if kind == "drop":
            request.connection.close()
            return
        if kind is None:
            self.came[event_id].append(time.time())
        status = {"500": 500, "429": 429, "redirect": 302}.get(kind or "", 200)
        request.send_response(status)
        if kind == "429":
            request.send_header("Retry-After", "1")
        if kind == "redirect":
            request.send_header("Location", self.url)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Bench:
    """A laptop that is its own host, with one webhook channel."""

    def __init__(self, folder: str) -> None:
        self.home, repo = f"{folder}/.dobby", f"{folder}/project"
        os.makedirs(self.home, 0o700)
        os.makedirs(repo)
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DOBBY_", "XDG_", "GIT_"))},
            "HOME": folder,
            "DOBBY_HOME": self.home,
        }
        os.environ.clear()
        os.environ.update(environ)
        repos.git(repo, "init", "-q", "-b", "main")
        repos.git(repo, *_IDENTITY, "commit", "-q", "--allow-empty", "-m", "one")
        self.service = Service()
        with open(f"{self.home}/config.toml", "w") as file:
            file.write(f'[channel.hook]\nkind = "webhook"\nurl = "{self.service.url}"\n')
        self.client = Client(cwd=repo)

    def launch(self, label: str, command: str) -> str:
        """The run's id and directory."""
        run = self.client.run("main", command, label=label, host="local", environment=("none",))
        return f"{self.home}/projects/{run.project}/jobs/{label}/runs/{run.run_id}"

    def arrival(self, run: str, kind: str, timeout: float = 30.0) -> float:
        event_id = f"{os.path.basename(run)}.{kind}"
        deadline = time.monotonic() + timeout
        while not self.service.came[event_id]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{event_id} did not come within {timeout:g} s")
            time.sleep(0.002)
        return self.service.came[event_id][0]


_IDENTITY = ("-c", "user.name=b", "-c", "user.email=b@example.org")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.notices")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--outages", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bench-notices-")
    try:
        bench = Bench(folder)
        _latency(bench, args.runs)
        _latency_killed(bench, args.runs)
        _outages(bench, args.outages, random.Random(args.seed))
        _idle(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _latency(bench: Bench, runs: int) -> None:
    took = []
    for _ in range(runs):
        run = bench.launch("latency", ENDED)
        took.append(bench.arrival(run, "succeeded") - _ended(run))
        bench.client.wait("latency", host="local")
    _say(f"command's end to the notice's arrival, {runs} runs", took)


def _latency_killed(bench: Bench, runs: int) -> None:
    """The supervisor dies while the command runs."""
    took = []
    for _ in range(runs):
        run = bench.launch("killed", f"until [ -e $DOBBY_OUTPUTS/go ]; do sleep 0.01; done; {ENDED}")
        bench.arrival(run, "started")
        os.kill(_pid(run, "supervisor"), signal.SIGKILL)
        with open(f"{run}/outputs/go", "w"):
            pass
        took.append(bench.arrival(run, "succeeded") - _ended(run))
        bench.client.wait("killed", host="local")
    _say(f"the same, supervisor killed while the command ran, {runs} runs", took)


def _outages(bench: Bench, outages: int, chance: random.Random) -> None:
    """Each run's notices meet one to three failures of the service before they get through."""
    left: dict[str, list[str]] = {}

    def trouble(event_id: str) -> str | None:
        return left[event_id].pop() if left.get(event_id) else None

    bench.service.trouble = trouble
    expected = []
    for number in range(outages):
        run_id = f"outage-{number}"
        for kind in ("started", "succeeded"):
            left[f"{run_id}.{kind}"] = chance.choices(OUTAGES, k=chance.randint(1, 3))
            expected.append(f"{run_id}.{kind}")
        options: dict[str, Any] = {"label": f"outage-{number}", "host": "local", "environment": ("none",)}
        bench.client.run("main", "true", run_id=run_id, **options)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not all(bench.service.came[e] for e in expected):
        time.sleep(0.1)
    came = [len(bench.service.came[e]) for e in expected]
    lost, twice = came.count(0), sum(n > 1 for n in came)
    print(f"{outages} outages, {len(expected)} notices: {lost} lost, {twice} told twice")


def _idle(bench: Bench) -> None:
    """The steward while a run is silent for 30 s, and what is left once all is told."""
    run = bench.launch("idle", "sleep 40")
    bench.arrival(run, "started")
    home = os.environ["DOBBY_HOME"]
    pids = processes.of_dobby("dobby-steward", home)
    before = processes.wakeups(pids)
    time.sleep(30)
    woken = processes.wakeups(pids) - before
    pss = processes.pss_mb(pids[0])
    print(f"steward: {len(pids)}, {pss:.1f} MB PSS, {2 * woken} wake-ups a minute while idle")
    bench.arrival(run, "succeeded")
    began = time.monotonic()
    while processes.of_dobby("dobby-", home) and time.monotonic() < began + 60:
        time.sleep(0.1)
    left = ", ".join(map(str, processes.of_dobby("dobby-", home))) or "nothing"
    print(f"{time.monotonic() - began:.0f} s after the last notice {left} of dobby runs on the host")


def _ended(run: str) -> float:
    return float(_read(f"{run}/outputs/ended"))


def _pid(run: str, who: str) -> int:
    events = [json.loads(line) for line in _read(f"{run}/events.jsonl").splitlines()]
    return int(next(e[who]["pid"] for e in events if who in e))


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def _say(what: str, took: list[float]) -> None:
    print(f"{what}: median {statistics.median(took):.3f} s, worst {max(took):.3f} s", flush=True)


if __name__ == "__main__":
    main()
