"""dobby channel: where a host's notices go."""

from __future__ import annotations

import sys

from dobby.cli import parsing
from dobby.core.errors import UsageError
from dobby.core.settings import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client

ACTIONS = ("add", "list", "test", "remove")
KINDS = ("slack", "email", "webhook", "apprise")
EXAMPLES = """\
  dobby channel add team slack -H gpu               asks for the webhook's address
  dobby channel add team slack channel=#runs        a bot: asks for its token
  dobby channel add mail email smtp=smtp://me@mail.example:587 from=me@example.org to=all@example.org
  dobby channel add night webhook on=failed,timed_out,lost min_duration=10m log_lines=true
  dobby channel add phones apprise < secrets        lines such as url=ntfys://…
  dobby channel test team
  dobby channel remove team
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "channel",
        "Where a host's notices go. `add NAME KIND KEY=VALUE…` writes a channel into the host's own\n"
        f"settings, for everyone who uses it (KIND: {', '.join(KINDS)}); secrets are asked for, or\n"
        "read from stdin as KEY=VALUE lines. `list` shows them, `test NAME` sends a notice and shows what\n"
        "the service answers, `remove NAME` takes one out. Keys that every kind has: on, min_duration,\n"
        "log_lines, team.",
        words=("ACTION", "[NAME]", "[KIND]", "[KEY=VALUE…]"),
        completes=(ACTIONS, (), KINDS, ()),
        examples=EXAMPLES,
    )
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    action, *words = args.words
    if action not in ACTIONS:
        raise UsageError(f"dobby channel has no {action!r}", did_you_mean(action, ACTIONS))
    parsing.check_words(f"channel {action}", words, *_TAKES[action])
    return _DO[action](connect, Voice(), words, args)


# least and most words, None for any number
_TAKES: dict[str, tuple[tuple[str, ...], int | None]] = {
    "add": (("NAME", "KIND"), None),
    "list": ((), 0),
    "test": (("NAME",), 1),
    "remove": (("NAME",), 1),
}


def _add(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json

    name, kind, *pairs = words
    done = connect(voice).channels.add(name, kind, pairs, ask=_ask_for, host=args.host)
    if args.json:
        print_json(done)
        return 0
    if done["found"]:
        voice.say(done["found"])
    voice.say(
        f"channel {name} of {done['host']} {'is replaced' if done['replaced'] else 'is there'}; "
        f"try it: dobby channel test {name} -H {done['host']}"
    )
    return 0


def _ask_for(keys: Sequence[str]) -> list[str]:
    """The secrets `keys` as KEY=VALUE: typed unseen where a person is, else lines of stdin."""
    from dobby.cli.streams import is_terminal

    if not is_terminal(sys.stdin):
        lines = sys.stdin.read().splitlines() if sys.stdin else []
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    from getpass import getpass

    typed = [(key, getpass(f"{key}: ").strip()) for key in keys]
    return [f"{key}={value}" for key, value in typed if value]


def _list(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json, print_table
    from dobby.views.table import of_channels

    found = connect(voice).channels.list(host=args.host)
    if args.json:
        print_json(found)
        return 0
    print_table(of_channels(found["channels"]))
    for channel in found["channels"]:
        if channel["problem"]:
            voice.say(f"{channel['name']} cannot work: {channel['problem']}")
    if not found["channels"]:
        voice.say(f"{found['host']} has no channel; dobby channel add NAME KIND makes one")
    return 0


def _test(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json, print_out
    from dobby.views.log import clean_cell

    done = connect(voice).channels.test(words[0], host=args.host)
    if args.json:
        print_json(done)
    else:
        for one in done["sent"]:
            print_out(clean_cell(_tested(done, one)))
    return 0 if all(one["ok"] for one in done["sent"]) else 1


def _tested(done: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    to = f" to {one['to']}" if one["to"] else ""
    return f"{done['channel']}{to}: {'sent' if one['ok'] else 'NOT sent'}: {one['answer']}"


def _remove(
    connect: Callable[[Voice], Client], voice: Voice, words: list[str], args: argparse.Namespace
) -> int:
    from dobby.cli.streams import print_json

    done = connect(voice).channels.remove(words[0], host=args.host)
    if args.json:
        print_json(done)
    else:
        voice.say(f"channel {done['channel']} of {done['host']} is gone")
    return 0


_DO = {"add": _add, "list": _list, "test": _test, "remove": _remove}
