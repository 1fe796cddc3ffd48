"""dobby stop: SIGINT, grace, SIGKILL; returns once nothing of the run is left."""

from __future__ import annotations

from dobby.cli import outcome, parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby stop etl
  dobby stop etl --grace 1m    time to write a checkpoint
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "stop",
        "End LABEL's run, and those queued behind it; returns once nothing of it is left.",
        words=("LABEL",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parser.value("--grace", metavar="TIME", help="time between SIGINT and SIGKILL", type=parsing.duration_s)
    parsing.add_run(parser)
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice, print_json
    from dobby.views import json

    args = make_parser().parse(argv)
    voice = Voice()
    row = connect(voice).stop(args.words[0], host=args.host, run=args.run, grace_s=args.grace)
    if args.json:
        print_json(json.of_row(row))
    else:
        voice.say(outcome.sentence(row))
    return 0
