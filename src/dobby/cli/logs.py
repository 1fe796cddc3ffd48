"""dobby logs: the log of a run; with -f until its end, across lost connections."""

from __future__ import annotations

from dobby.cli import parsing
from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby logs etl -f           follow; exits as the job does
  dobby logs etl --tail 20
  dobby logs etl > etl.log    bytes exactly as the job wrote them
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "logs",
        "Show the log of LABEL's present or latest run.",
        words=("LABEL",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parser.flag("-f", "--follow", help="go on until the run is final; Ctrl-C detaches, the job goes on")
    parser.value("--tail", metavar="N", help="only the last N lines of what is there", type=parsing.count)
    parser.flag("--all", help="the set-up's output too, to stdout")
    parser.flag("--raw", help="exact bytes, to a terminal too")
    parsing.add_run(parser)
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.following import follow, show_log
    from dobby.cli.streams import Voice, print_json

    args = make_parser().parse(argv)
    if args.all and args.tail is not None:
        raise UsageError("--all and --tail ask for different parts of the log", "give only one of them")
    label = args.words[0]
    place = {"host": args.host, "run": args.run}
    how = {"tail": args.tail, "all": args.all, "raw": args.raw, "as_json": args.json}
    voice = Voice()
    client = connect(voice)
    if args.follow:
        return follow(client, label, place, voice, f"dobby logs {label} -f", **how)
    row = show_log(client, label, place, follow=False, **how)
    if args.json:
        from dobby.views import json

        print_json(json.of_row(row))
    return 0
