"""dobby wait: block until a run is final; exit as the job did."""

from __future__ import annotations

from dobby.cli import outcome, parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby wait etl && dobby fetch etl
  dobby wait etl --json
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "wait",
        "Wait until LABEL's run is final. Exits as the job did: its own code, 128+N after signal N,\n"
        "124 timed out, 130 stopped, 125 lost or the set-up failed.",
        words=("LABEL",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parsing.add_run(parser)
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice, print_json
    from dobby.views import json

    args = make_parser().parse(argv)
    label = args.words[0]
    voice = Voice()
    try:
        row = connect(voice).wait(label, host=args.host, run=args.run)
    except KeyboardInterrupt:
        voice.say(f"\nno longer waiting; the job goes on: dobby wait {label}")
        return outcome.INTERRUPTED
    if args.json:
        print_json(json.of_row(row))
    else:
        voice.say(outcome.sentence(row))
    return outcome.exit_code(row)
