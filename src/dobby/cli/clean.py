"""dobby clean: remove what jobs that are not running left on the host; history stays."""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby clean etl
  dobby clean --all --older-than 14d --keep-logs
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "clean",
        "Remove sandbox, environment, logs and what earlier runs left behind, of jobs that are not\n"
        "running. Outputs go only with --outputs, and history stays.",
        words=("[LABEL…]",),
        completes=(parsing.LABELS,),
        examples=EXAMPLES,
    )
    parser.flag("--all", help="all jobs that are not running")
    parser.value(
        "--older-than", metavar="TIME", help="only what ended before, such as 14d", type=parsing.duration_s
    )
    parser.flag("--keep-logs", help="leave the logs")
    parser.flag("--outputs", help="the outputs too")
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice, print_json, print_table
    from dobby.core.sizes import size_text
    from dobby.views.table import Table

    args = make_parser().parse(argv)
    voice = Voice()
    done = connect(voice).clean(
        args.words,
        all=args.all,
        older_than_s=args.older_than,
        keep_logs=args.keep_logs,
        outputs=args.outputs,
        host=args.host,
    )
    if args.json:
        print_json(done)
    else:
        rows = [[*_who(job), f"freed {size_text(job['freed_bytes'])}"] for job in done["cleaned"]]
        rows += [[*_who(job), f"kept: {job['reason']}"] for job in done["kept"]]
        print_table(Table(("LABEL", "HOST", "WHAT"), rows))
    return 1 if args.words and _was_left(done) else 0


def _who(job: Mapping[str, Any]) -> tuple[str, str]:
    return f"{job['project']}/{job['label']}", str(job["host"])


def _was_left(done: Mapping[str, Any]) -> bool:
    """Whether nothing at all was cleaned of some job that was named."""
    cleaned = {_who(job) for job in done["cleaned"]}
    return any(_who(job) not in cleaned for job in done["kept"])
