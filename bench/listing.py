"""`python -m bench.listing`: `dobby ps` of a host with many runs that are over, beside its floor: a
multiplexed `ssh host true` and `python -c pass`. `--runs N` (10000), `--labels N` (1000), `--rounds N`."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from tests import planted
from tests import sshd as sshd_module

from bench import timing

DOBBY = os.path.join(os.path.dirname(sys.executable), "dobby")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.listing")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bench-")
    os.chmod(folder, 0o755)
    try:
        with sshd_module.serve("bench") as sshd:
            _plant(sshd, folder, args.runs, args.labels)
            _measure(sshd, folder, args.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plant(sshd: sshd_module.Sshd, folder: str, runs: int, labels: int) -> None:
    home = f"{folder}/planted"
    for number in range(runs):
        planted.final_run(home, f"label{number % labels}", number // labels + 1)
    archive = subprocess.run(["tar", "-cf", "-", "-C", home, "."], stdout=subprocess.PIPE, check=True)
    sshd.run(["sh", "-c", "mkdir -m 700 .dobby && tar -xf - -C .dobby"], input=archive.stdout)


def _measure(sshd: sshd_module.Sshd, folder: str, rounds: int) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOBBY_", "GIT_", "XDG_"))}
    env = {**kept, "HOME": f"{folder}/home", "XDG_RUNTIME_DIR": f"{folder}/run", **sshd.env}
    for path in (env["HOME"], env["XDG_RUNTIME_DIR"]):
        os.makedirs(path, 0o700)
    ssh = [env["DOBBY_SSH"], "-o", f"ControlPath={folder}/mux", "-T", "--", sshd.destination]
    subprocess.run([*ssh[:3], "-M", "-N", "-f", *ssh[3:]], env=env, check=True)
    ps = [DOBBY, "ps", "-H", sshd.destination]
    try:
        timing.whole(ps, env, "/")
        found = timing.interleaved(
            {
                "F ssh: true": lambda: timing.whole([*ssh, "true"], env, "/"),
                "F python -c pass": lambda: timing.whole([sys.executable, "-I", "-c", "pass"], env, "/"),
                "dobby ps": lambda: timing.whole(ps, env, "/"),
                "dobby ps, no index": lambda: _without_index(sshd, ps, env),
            },
            rounds,
        )
    finally:
        subprocess.run([*ssh[:3], "-O", "exit", *ssh[3:]], env=env, capture_output=True, check=False)
    for name, values in found.items():
        print(f"  {name:24} {timing.milliseconds(values)} ms")
    floor = sum(statistics.median(found[name]) for name in found if name.startswith("F "))
    print(f"  dobby ps is {statistics.median(found['dobby ps']) / floor:.1f} x the floor")


def _without_index(sshd: sshd_module.Sshd, ps: list[str], env: dict[str, str]) -> float:
    sshd.run(["rm", "-rf", ".dobby/index"])
    return timing.whole(ps, env, "/")


if __name__ == "__main__":
    main()
