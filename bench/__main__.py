"""`python -m bench [GROUP…]`: how long things take, each beside its floor and beside its peers.

Over a real sshd on loopback, as an unprivileged user, with a warm multiplexed connection. Groups:
start, environment, logs, memory, throughput, listing, sandbox (all). `--rounds N` (15);
`--write` puts the table into docs/performance.md, which says what is measured and how.
"""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time

from tests import sshd as sshd_module

from bench import document, repos, table
from bench.place import Place

# The last one leaves millions of files behind, whose writing and removal would slow the others.
GROUPS = ("start", "environment", "logs", "memory", "throughput", "listing", "sandbox")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    args = parser.parse_args()
    groups = args.groups or GROUPS
    if args.write:
        document.check_all(groups, GROUPS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves nothing running either
    folder = tempfile.mkdtemp(prefix="bench-")
    os.chmod(folder, 0o755)
    try:
        with repos.cache_of_ours() as cache, sshd_module.serve(secrets.token_hex(8)) as sshd:
            place = Place(folder, sshd, cache)
            setting = document.setting(place, args.rounds)
            try:
                rows = [row for name in groups for row in _group(name, place, args.rounds)]
            finally:
                place.close()
            print(f"{setting}\n\n{table.plain(rows)}", flush=True)  # before the removal, which takes long
            if args.write:
                document.write(rows, setting)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _group(name: str, place: Place, rounds: int) -> list[table.Row]:
    began = time.monotonic()
    rows = []
    for row in importlib.import_module(f"bench.groups.{name}").measure(place, rounds):
        print("  ".join(filter(None, row.cells())), file=sys.stderr, flush=True)
        rows.append(row)
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
