"""`dobby ps` on a host that has 10,000 runs on record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench import repos, timing
from bench.place import NO_ENVIRONMENT
from bench.table import Row, Target, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.place import Place

LABELS, RUNS_EACH = 1000, 10

# Copies of one real run, each with a label, a run id and a number of its own. argv: the job's directory.
WRITE = """
import json, os, sys
job = sys.argv[1]
jobs, label = os.path.split(job)
(run_id,) = os.listdir(job + "/runs")
real = job + "/runs/" + run_id
files = {n: open(real + "/" + n).read() for n in os.listdir(real) if os.path.isfile(real + "/" + n)}
for number in range(int(sys.argv[2])):
    other = "recorded%d" % number
    os.makedirs(jobs + "/" + other + "/runs")
    for name in ("lock", "accepting", "holder"):
        with open(jobs + "/" + other + "/" + name, "w") as file:
            file.write({"accepting": "%020d\\n" % int(sys.argv[3])}.get(name, ""))
    for seq in range(1, int(sys.argv[3]) + 1):
        new = "20260101-%06d-%010x" % (number, seq)
        run = jobs + "/" + other + "/runs/" + new
        os.makedirs(run + "/outputs")
        for name, text in files.items():
            text = text.replace(run_id, new).replace('"' + label + '"', '"' + other + '"')
            if name == "request.json":
                text = json.dumps({**json.loads(text), "seq": seq})
            with open(run + "/" + name, "w") as file:
                file.write(text)
"""


def measure(place: Place, rounds: int) -> Iterator[Row]:
    repo = place.repository(repos.SMALL)
    place.launch(repo, "main", "template", *NO_ENVIRONMENT)
    place.await_quiet()
    words = [place.job(repo, "template"), str(LABELS), str(RUNS_EACH)]
    place.sshd.run(["python3", "-", *words], input=WRITE.encode())

    def floor() -> float:
        return place.on_host("echo first") + place.python()

    place.verb("ps")  # whatever is kept to be fast is made now
    found = timing.interleaved({"F": floor, "ps": lambda: place.verb("ps")}, rounds)
    # Out of the way of what may be measured next, which a removal would slow.
    place.sshd.run(["sh", "-c", 'mv "$0"/recorded* floor/', os.path.dirname(words[0])])
    yield timed(
        f"`dobby ps`, {LABELS * RUNS_EACH:,} recorded runs of {LABELS:,} jobs",
        found["ps"],
        found["F"],
        Target(times=4),
    )
