"""dobby host: the hosts that one has named."""

from __future__ import annotations

from dobby.cli import parsing
from dobby.core.errors import UsageError
from dobby.core.settings import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

ACTIONS = ("add", "list", "remove")
EXAMPLES = """\
  dobby host add gpu                        an alias of ~/.ssh/config
  dobby host add big me@big.example.org     a name for a destination
  dobby host add gpu --watch                its cron tells of runs that a reboot has ended
  dobby host remove gpu --watch
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "host",
        "The hosts that you have named. `add NAME [DESTINATION]` writes one into your settings: then\n"
        "`ps` asks it, and -H NAME means it (a host needs no adding to be used). `list` shows all that\n"
        "were added or used before, and asks no network; `remove NAME` forgets one.",
        words=("ACTION", "[NAME]", "[DESTINATION]"),
        completes=(ACTIONS, parsing.HOSTS),
        examples=EXAMPLES,
    )
    parser.flag(
        "--watch",
        help="add: have the host's cron look after dobby's runs every 5 minutes and after a reboot; "
        "remove: no longer",
    )
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    action, *words = args.words
    if action not in ACTIONS:
        raise UsageError(f"dobby host has no {action!r}", did_you_mean(action, ACTIONS))
    parsing.check_words(f"host {action}", words, *_TAKES[action])
    if args.watch and action == "list":
        raise UsageError("--watch goes with add and remove", "leave --watch out")
    return _DO[action](connect, Voice(), words, args)


# words that must be there, and the most
_TAKES: dict[str, tuple[tuple[str, ...], int]] = {
    "add": (("NAME",), 2),
    "list": ((), 0),
    "remove": (("NAME",), 1),
}


def _add(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json

    name, destination = words[0], words[1] if len(words) > 1 else None
    done = connect(voice).hosts.add(name, destination, watch=args.watch)
    if args.json:
        print_json(done)
        return 0
    if done["added"]:
        voice.say(f"host {name} is added: {done['ssh']}; try it: dobby run REVISION COMMAND -H {name}")
    else:
        voice.say(f"host {name} was there already")
    if done["watch"]:
        voice.say(f"the cron of {name} looks after dobby's runs from now on")
    if done["note"]:
        voice.say(f"warning: {done['note']}")
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


def _remove(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json

    done = connect(voice).hosts.remove(words[0], watch=args.watch)
    if args.json:
        print_json(done)
        return 0
    if args.watch:
        was = "looks no longer" if done["unwatched"] else "was not looking"
        voice.say(f"the cron of {done['host']} {was}")
    voice.say(f"host {done['host']} is forgotten; what is on it stays")
    return 0


_DO = {"add": _add, "list": _list, "remove": _remove}
