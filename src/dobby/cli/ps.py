"""dobby ps: jobs on all hosts, the live ones and each job's latest run."""

from __future__ import annotations

import sys
import time

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client, Listing
    from dobby.views.table import Table

EXAMPLES = """\
  dobby ps                 all hosts that were added or used before
  dobby ps etl -a -H gpu   every run of one job on one host
"""
REDRAW_S = 2.0


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "ps",
        "Show the jobs on all hosts: live runs, and each job's latest.",
        words=("[LABEL…]",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parser.flag("-a", "--all", help="all runs, not only the latest")
    parser.value("--run", metavar="ID", help="the runs of this id alone; may be shortened")
    parser.flag("--watch", help=f"show it anew every {REDRAW_S:.0f} s, until Ctrl-C")
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    voice = Voice()
    client = connect(voice)
    if args.watch:
        return _watch(client, args)
    if args.json:
        return show(_ask(client, args), voice, as_json=True)
    early: list[Listing] = []

    def show_early(found: Listing) -> None:
        early.append(found)
        show(_narrowed(found, args), voice, as_json=False, used=args.all)

    listing = _ask(client, args, show_early)
    rest = _rest(listing, early[0]) if early else listing
    return show(rest, voice, as_json=False, more=bool(early), used=args.all)


def _ask(
    client: Client, args: argparse.Namespace, meanwhile: Callable[[Listing], None] | None = None
) -> Listing:
    found = client.ps(args.words, all=args.all or bool(args.run), host=args.host, meanwhile=meanwhile)
    return _narrowed(found, args)


def _narrowed(found: Listing, args: argparse.Namespace) -> Listing:
    from dobby.client import Listing

    runs = [r for r in found.runs if str(r.get("run_id")).startswith(args.run or "")]
    return Listing(runs=runs, hosts=found.hosts)


def _rest(whole: Listing, shown: Listing) -> Listing:
    """What is not shown yet: the hosts that kept us waiting."""
    from dobby.client import Listing

    names = {host["host"] for host in shown.hosts}
    return Listing(
        runs=[r for r in whole.runs if r["host"] not in names],
        hosts=[h for h in whole.hosts if h["host"] not in names],
    )


def show(
    listing: Listing,
    voice: Voice,
    *,
    as_json: bool,
    history: bool = False,
    more: bool = False,
    used: bool = False,
) -> int:
    """The listing to stdout, hosts that did not answer to stderr (when none did, that is raised).
    `more`: another one was shown before, so no table says that there is nothing."""
    from dobby.cli.streams import print_json, print_table

    if as_json:
        from dobby.views import json

        print_json(json.of_listing(listing.runs, listing.hosts))
    else:
        if listing.runs or not more:
            print_table(_table(listing, history, used))
        for row in listing.runs:
            if row.get("note") and not history:
                voice.say(f"{row.get('label')} on {row.get('host')}: {row['note']}")
        for line in [*_untold(listing, history), *(_who_is_claimed(listing) if history else ())]:
            voice.say(line)
        for host in listing.hosts:
            if not host["reachable"]:
                voice.say(f"{host['host']} did not answer: {host.get('error') or 'no reason given'}")
        if not listing.hosts:
            voice.say("no host was added or used yet; dobby run REVISION COMMAND -H HOST uses one")
    return 0


def _untold(listing: Listing, history: bool) -> list[str]:
    """A line for each run of which somebody could not be told."""
    from dobby.views.table import untold_text

    found = []
    for row in listing.runs:
        text = untold_text(row, given_up_alone=history)
        if text:
            which = f" ({row.get('run_id')})" if history else ""
            found.append(f"{row.get('label')} on {row.get('host')}{which}: {text}")
    return found


def _who_is_claimed(listing: Listing) -> list[str]:
    from dobby.views.table import is_claimed

    accounts = sorted({f"{row['account']} on {row['host']}" for row in listing.runs if is_claimed(row)})
    if not accounts:
        return []
    return [f"claimed: as the caller said; all that is known is the account, {', '.join(accounts)}"]


def _table(listing: Listing, history: bool, used: bool) -> Table:
    from dobby.cli.streams import is_terminal
    from dobby.views import table

    now = None
    if is_terminal(sys.stdout):
        from datetime import UTC, datetime

        now = datetime.now(UTC)
    if history:
        return table.of_history(listing.runs, now=now)
    return table.of_runs(listing.runs, now=now, used=used)


def _watch(client: Client, args: argparse.Namespace) -> int:
    from dobby.cli.streams import is_terminal
    from dobby.core.errors import UsageError

    if args.json or not is_terminal(sys.stdout):
        raise UsageError("--watch draws on a terminal, and stdout is none", "leave --watch out")
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from dobby.views.log import clean_cell

    with Live(auto_refresh=False, screen=False) as live:
        while True:
            try:
                listing = _ask(client, args)
                silent = [f"{h['host']} did not answer" for h in listing.hosts if not h["reachable"]]
                silent += _untold(listing, history=False)
                table = _table(listing, history=False, used=args.all).rich()
                live.update(Group(table, *(Text(clean_cell(line)) for line in silent)), refresh=True)
                time.sleep(REDRAW_S)
            except KeyboardInterrupt:
                return 0
