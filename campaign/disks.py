"""Disks that fill up while a run is under way: it comes to its end, and people are told."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from tests import stewards
from tests.client import hook as hooks
from tests.client.carried import Carried
from tests.conftest import Host
from tests.wait import until

from campaign.frame import Experiment, Skip
from dobby.core.view import LOG_CUT

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from campaign.frame import Tally
    from campaign.lab import Lab

CODE = 3
# What fills it: the job's own log, the job's files, or somebody else (a fill of its own, see `one`).
JOBS = {
    "log": "head -c 200000000 /dev/zero | tr '\\0' x; echo; echo end",
    "files": 'n=0; while : > "$DOBBY_OUTPUTS/$n"; do n=$((n+1)); done 2>/dev/null',
    "stranger": "sleep 0.{0}; echo end",
}


@contextlib.contextmanager
def _small(lab: Lab) -> Iterator[str]:
    """A filesystem of 48 MB and 4,000 files, and dobby's directory on it."""
    place = lab.directory("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m,nr_inodes=4000,mode=0700", "none", place]
    if os.getuid() != 0:
        raise Skip("only root may mount a small filesystem")
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(done.stderr.strip())
    before = os.environ["DOBBY_HOME"]
    os.environ["DOBBY_HOME"] = f"{place}/dobby"
    try:
        yield place
    finally:
        os.environ["DOBBY_HOME"] = before
        stewards.end(f"{place}/dobby")
        until(lambda: subprocess.run(["umount", place], capture_output=True, check=False).returncode == 0)


def full(lab: Lab, tally: Tally) -> None:
    """The log, files or a stranger take all that is left, at any moment after the acknowledgement."""
    with hooks.serve() as hook, _small(lab) as place:
        host = Host("local", f"{place}/dobby")
        hooks.configure(host, hooks.table("team", hook))
        client = lab.client()

        def one(number: int, chance: random.Random) -> None:
            run_id, what = f"r{number}", chance.choice(sorted(JOBS))
            command = f"{JOBS[what].format(chance.randrange(3))}; exit {CODE}"
            options: dict[str, Any] = {"host": "local", "environment": ("none",), "force": True}
            run = Carried(client, host, client.run("main", command, run_id=run_id, label="job", **options))
            try:
                if what == "stranger":
                    _fill(f"{place}/fill", chance.uniform(0, 0.3))
                row = run.wait()
                wrong = _what_is_wrong(what, row)
                if wrong:
                    tally.failed(f"{run_id}, filled by {what}: {wrong}: {row['status']} {row['cause']}")
                until(
                    lambda: row["status"] in hook.of_run(run_id), 10, evidence=lambda: hook.of_run(run_id)
                )
            finally:
                _make_room(run, f"{place}/fill")

        tally.spread(one, 1)


def _what_is_wrong(what: str, row: dict[str, Any]) -> str:
    if what != "stranger" and (row["status"], row["exit_code"]) != ("failed", CODE):
        return "that is not how it ended"
    if what == "stranger" and row["status"] not in ("failed", "lost"):
        return "that is not how it ended"
    if what == "log" and LOG_CUT not in row["note"]:
        return "nothing says that the log was cut"
    return ""


def _fill(path: str, after_s: float) -> None:
    """Every block that is left."""
    words = 'sleep "$1"; exec cat /dev/zero > "$2"'
    subprocess.run(
        ["sh", "-c", words, "sh", f"{after_s:.3f}", path], stderr=subprocess.DEVNULL, check=False
    )


def _make_room(run: Carried, fill: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fill)
    os.truncate(f"{run.root}/output.log", 0)
    shutil.rmtree(f"{run.root}/outputs")


EXPERIMENTS = (Experiment("full-disks", 100, 6, full),)
