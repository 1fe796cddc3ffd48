"""`python -m campaign [--seed N] [--only NAME] [--short]`: every experiment, and one table at the end.

Exit 1 when a figure falls short, or something is left running.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

import dobby.client.launching
from campaign import crashes, disks, fuzz, lab, labels, launches, notices, stops, supervisors
from campaign.frame import Skip, Tally

SUBJECTS = (launches, supervisors, notices, stops, labels, disks, crashes, fuzz)
EXPERIMENTS = [experiment for subject in SUBJECTS for experiment in subject.EXPERIMENTS]


def main() -> int:
    args = _parser().parse_args()
    chosen = [one for one in EXPERIMENTS if not args.only or one.name in args.only]
    seed = secrets.randbelow(10**9) if args.seed is None else args.seed
    print(f"seed {seed}: the same campaign again with --seed {seed}", file=sys.stderr, flush=True)
    dobby.client.launching.PAUSE_S = 0.01  # between the attempts of a launch
    tallies, began = [], time.monotonic()
    with lab.made() as place:
        for experiment in chosen:
            wanted = args.tries or (experiment.short if args.short else experiment.full)
            tally = Tally(experiment, wanted, seed)
            tallies.append(tally)
            _conduct(place, tally)
    _show(tallies)
    print(f"seed {seed}, {time.monotonic() - began:.0f} s")
    return 0 if all(tally.is_good for tally in tallies) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m campaign", description=__doc__)
    parser.add_argument("--seed", type=int, help="what chance decides is the same for the same seed")
    names = [experiment.name for experiment in EXPERIMENTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="fewer tries of each")
    parser.add_argument("--tries", type=int, help="so many tries of each")
    return parser


def _conduct(place: lab.Lab, tally: Tally) -> None:
    began = time.monotonic()
    place.begin()
    try:
        tally.experiment.body(place, tally)
    except Skip as reason:
        tally.skipped = str(reason)
    except Exception as error:
        tally.failed(f"{type(error).__name__}: {error}")
    end = "\n" if not sys.stderr.isatty() else "\r\x1b[K"
    what = tally.skipped or f"{tally.done} of {tally.wanted}, {len(tally.failures)} failures"
    line = f"{tally.experiment.name}: {what}, {time.monotonic() - began:.0f} s"
    print(line if end == "\n" else f"{end}{line}", file=sys.stderr, flush=True)


def _show(tallies: list[Tally]) -> None:
    rows = [("experiment", "done", "wanted", "failures", "worst"), *(_row(tally) for tally in tallies)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _row(tally: Tally) -> tuple[str, str, str, str, str]:
    most_s, worst = tally.experiment.most_s, ""
    if tally.worst_s is not None:
        worst = f"{tally.worst_s:.2f} s" + (f" of {most_s:g} s" if most_s is not None else "")
    if tally.skipped:
        worst = f"skipped: {tally.skipped}"
    return (
        tally.experiment.name,
        str(tally.done),
        str(tally.wanted),
        str(len(tally.failures)) + ("" if tally.is_good else " !"),
        worst,
    )


if __name__ == "__main__":
    sys.exit(main())
