"""dobby host: the hosts that one has named."""

from __future__ import annotations

from dobby.cli import parsing
from dobby.core.errors import UsageError
from dobby.core.settings import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client

ACTIONS = ("add", "list", "check", "remove")
EXAMPLES = """\
  dobby host add gpu                        an alias of ~/.ssh/config
  dobby host add big me@big.example.org     a name for a destination
  dobby host add gpu --become dobby         the jobs belong to a team's account there, through sudo
  dobby host add gpu --watch                its cron tells of runs that a reboot has ended
  dobby host check gpu                      what is right there, what is wrong, how to mend it
  dobby host remove gpu --purge             all that dobby has put there goes too
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "host",
        "The hosts that you have named. `add NAME [DESTINATION]` writes one into your settings: then\n"
        "`ps` asks it, and -H NAME means it (a host needs no adding to be used). `list` shows all that\n"
        "were added or used before, and asks no network. `check [NAME]` tells line by line what is right\n"
        "and what is wrong there (by default of all hosts in your settings), and exits 1 when a run would\n"
        "fail; it asks the package index and the channels whether they answer, and sends no message.\n"
        "`remove NAME` forgets one; what is on it stays, without --purge.",
        words=("ACTION", "[NAME]", "[DESTINATION]"),
        completes=(ACTIONS, parsing.HOSTS),
        examples=EXAMPLES,
    )
    parser.value("--become", metavar="ACCOUNT", help="add: the account that owns the jobs there, by sudo")
    parser.flag(
        "--watch",
        help="add: have the host's cron look after dobby's runs every 5 minutes and after a reboot; "
        "remove: no longer",
    )
    parser.flag(
        "--purge",
        help="remove: first take away all that dobby has put on the host, its crontab lines too; "
        "refused while runs live there, or outputs are kept there",
    )
    parser.flag("--outputs", help="remove --purge: outputs of runs too")
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    action, *words = args.words
    if action not in ACTIONS:
        raise UsageError(f"dobby host has no {action!r}", did_you_mean(action, ACTIONS))
    parsing.check_words(f"host {action}", words, *_TAKES[action])
    if args.watch and action not in ("add", "remove"):
        raise UsageError("--watch goes with add and remove", "leave --watch out")
    if args.become is not None and action != "add":
        raise UsageError("--become goes with add", "leave --become out")
    if args.purge and action != "remove":
        raise UsageError("--purge goes with remove", "leave --purge out")
    if args.outputs and not args.purge:
        raise UsageError("--outputs goes with remove --purge", "leave --outputs out, or add --purge")
    return _DO[action](connect, Voice(), words, args)


# words that must be there, and the most
_TAKES: dict[str, tuple[tuple[str, ...], int]] = {
    "add": (("NAME",), 2),
    "list": ((), 0),
    "check": ((), 1),
    "remove": (("NAME",), 1),
}


def _add(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json
    from dobby.views.health import trouble

    name, destination = words[0], words[1] if len(words) > 1 else None
    client = connect(voice)
    done = client.hosts.add(name, destination, become=args.become, watch=args.watch)
    wrong = trouble(client.hosts.check(name, brief=True)[0].lines)
    if args.json:
        print_json({**done, "wrong": wrong})
        return 0
    if done["added"]:
        account = f", as {done['become']}" if done["become"] else ""
        voice.say(
            f"host {name} is added: {done['ssh']}{account}; try it: dobby run REVISION COMMAND -H {name}"
        )
    else:
        voice.say(f"host {name} was there already")
    if done["watch"]:
        voice.say(f"the cron of {name} looks after dobby's runs from now on")
    if done["note"]:
        voice.say(f"warning: {done['note']}")
    for sentence in wrong:
        voice.say(f"a run would fail there: {sentence}")
    return 0


def _list(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json, print_table
    from dobby.views.table import of_hosts

    found = connect(voice).hosts.list()
    if args.json:
        print_json({"hosts": found})
    else:
        print_table(of_hosts(found))
    return 0


def _check(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json, print_table
    from dobby.views.health import Report

    found = connect(voice).hosts.check(*words)
    if args.json:
        print_json({"hosts": [one.to_json() for one in found]})
    else:
        for one in found:
            print_table(Report(one.host, one.lines, one.fit))
    return 0 if all(one.fit for one in found) else 1


def _remove(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json

    done = connect(voice).hosts.remove(words[0], watch=args.watch, purge=args.purge, outputs=args.outputs)
    if args.json:
        print_json(done)
        return 0
    if args.watch:
        was = "looks no longer" if done["unwatched"] else "was not looking"
        voice.say(f"the cron of {done['host']} {was}")
    for sentence in _of_purge(done):
        voice.say(sentence)
    return 0


def _of_purge(done: dict[str, Any]) -> list[str]:
    from dobby.core.sizes import size_text

    host, purged = done["host"], done["purged"]
    if not purged:
        return [f"host {host} is forgotten; what is on it stays (--purge takes that away too)"]
    said = [f"host {host} is forgotten, and all of dobby there is gone: {size_text(purged['freed_bytes'])}"]
    if purged["untold"]:
        said.append(f"warning: of {purged['untold']} runs somebody was still to be told, and will not be")
    if purged["left"]:
        said.append(f"its directory stays, for what is none of dobby's: {', '.join(purged['left'])}")
    return said


_DO = {"add": _add, "list": _list, "check": _check, "remove": _remove}
