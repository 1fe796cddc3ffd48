"""dobby shell: a shell in the job's sandbox, with its environment active."""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby shell etl
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "shell",
        "Open a shell in LABEL's sandbox, with its environment active. Exits as the shell does.",
        words=("LABEL",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parsing.add_run(parser)
    parsing.add_host(parser)
    parser.flag("--json", help="errors as one JSON object")
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    return connect(Voice()).shell(args.words[0], host=args.host, run=args.run)
