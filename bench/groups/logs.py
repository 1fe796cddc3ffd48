"""Logs: how soon a line is shown, and how fast much of it is written and read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

from bench import processes, repos, timing
from bench.place import DOBBY
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

LINES = 200
SILENT_S = 20
BYTES = 1_000_000_000
# Says the time, LINES times at uneven moments, once `go` is there; then nothing while it stays.
SPEAKER = """
import os, random, time
print("first", flush=True)
while not os.path.exists("{go}"): time.sleep(0.01)
for _ in range({lines}):
    time.sleep(random.uniform(0.02, 0.06))
    print(time.time(), flush=True)
while os.path.exists("{go}"): time.sleep(0.05)
"""
# The time that the writing takes, by the host's own clock; the process that says it is not in it. A line
# comes first, as the set-up's do in a log: writes that do not begin where a page does take 13 % longer.
WRITER = (
    f'echo go; s=$(date +%s%N); head -c {BYTES} /dev/zero; echo $(($(date +%s%N) - s)) >"$HOME/floor/took"'
)


def measure(place: Place, rounds: int) -> Iterator[Row]:
    repo = place.repository(repos.SMALL)
    yield from _following(place, repo)
    yield from _writing(place, repo, rounds)
    yield from _reading(place, repo, rounds)


def _following(place: Place, repo: str) -> Iterator[Row]:
    go = f"{place.home}/floor/go"
    place.put(f"{place.home}/floor/speaker.py", SPEAKER.format(go=go, lines=LINES).encode())
    place.start(repo, "speaker", f"python3 {place.home}/floor/speaker.py")
    argv = [*DOBBY, "logs", "speaker", "-f", "-H", place.sshd.destination]
    with subprocess.Popen(
        argv,
        cwd=repo,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as follower:
        assert follower.stdout is not None
        lines = iter(follower.stdout.readline, b"")
        assert next(lines) == b"first\n"
        time.sleep(1)  # it follows as it would for hours
        place.put(go, b"")
        late = []
        for _ in range(LINES):
            written = float(next(lines))
            late.append(time.time() - written)
        time.sleep(1)
        watched = [follower.pid, *place.processes("dobby-agent")]
        before = processes.wakeups(watched)
        time.sleep(SILENT_S)
        woken = processes.wakeups(watched) - before
        place.sshd.run(["rm", go])
        follower.communicate()
    yield timed(f"`logs -f`: line written to line shown, {LINES} lines", late, (), Target(at_most=5))
    yield timed("`logs -f`: the worst of them", [max(late)], (), Target(at_most=50))
    yield Row(
        "`logs -f`: wake-ups while silent, both ends",
        [woken * 60 / SILENT_S],
        "a minute",
        target=Target(at_most=0),
    )


def _writing(place: Place, repo: str, rounds: int) -> Iterator[Row]:
    """What was written is removed after each measure, before it reaches the disk and slows the next."""

    def took() -> float:
        seconds = int(place.sshd.run(["cat", "floor/took"]).stdout) / 1e9
        for name in os.listdir(f"{place.job(repo, 'writer')}/runs"):
            with contextlib.suppress(FileNotFoundError):
                os.truncate(f"{place.job(repo, 'writer')}/runs/{name}/output.log", 0)
        place.sshd.run(["rm", "-f", "floor/written"])
        os.sync()
        return seconds

    def by_hand() -> float:
        place.on_host(f'{{ {WRITER}; }} >"$HOME/floor/written"; echo first')
        return took()

    def job() -> float:
        place.start(repo, "writer", WRITER)
        place.verb("wait", "writer", repo=repo)
        return took()

    place.start(repo, "writer", "true")
    place.verb("wait", "writer", repo=repo)
    found = timing.interleaved({"F": by_hand, "job": job}, rounds)
    yield timed("job writing 1 GB as fast as it can", found["job"], found["F"], Target(times=1.01))


def _reading(place: Place, repo: str, rounds: int) -> Iterator[Row]:
    place.start(repo, "long", f"yes 'a line of a log, as long as most are, or so' | head -c {BYTES}")
    place.verb("wait", "long", repo=repo)
    runs = f"{place.job(repo, 'long')}/runs"
    cat = [*place.ssh, place.sshd.destination, f"cat {runs}/*/output.log"]
    size = os.path.getsize(f"{runs}/{os.listdir(runs)[0]}/output.log")
    logs = [*DOBBY, "logs", "long", "-H", place.sshd.destination]
    found = timing.interleaved(
        {
            "F": lambda: timing.drained(cat, place.env, "/", size),
            "logs": lambda: timing.drained(logs, place.env, repo, BYTES),
        },
        rounds,
    )
    place.sshd.run(["sh", "-c", f"rm {runs}/*/output.log"])
    yield timed("`dobby logs` of 1 GB", found["logs"], found["F"], Target(times=1.1))
