"""dobby restart: stop if running, then the same request on the revision's present tip."""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby restart etl -f
  dobby restart etl --run 20260131-0930 --same    an earlier run, exactly
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "restart",
        "Stop LABEL's run if it is running, then run the same again, on the revision as this\n"
        "checkout has it now; with --same on that run's own commit. Forwarded values are read anew.",
        words=("LABEL",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parser.flag("--same", help="the very commit that ran, also outside a checkout")
    parser.flag("-f", "--follow", help="show the output until the end; exit as the job does")
    parser.value(
        *("-e", "--env"), metavar="NAME[=VALUE]", help="forward this variable too", action="append"
    )
    parser.value("--env-file", metavar="FILE", help="NAME=VALUE lines to forward", completes=parsing.FILES)
    parser.flag("--force", help="run although some of what you see cannot travel")
    parsing.add_run(parser)
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.following import announce, follow_launch
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    voice = Voice()
    client = connect(voice)
    given = {
        "host": args.host,
        "run": args.run,
        "same": args.same,
        "force": args.force,
        "env": args.env or (),
        "env_file": args.env_file,
    }
    if args.follow:
        return follow_launch(
            lambda follower: client.restart(args.words[0], follower=follower, **given),
            voice,
            as_json=args.json,
        )
    announce(client.restart(args.words[0], **given), voice, follow=False, as_json=args.json)
    return 0
