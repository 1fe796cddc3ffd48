"""dobby history: who ran what, when, how it ended; newest first."""

from __future__ import annotations

from dobby.cli import parsing
from dobby.core.errors import UsageError
from dobby.core.settings import did_you_mean, parse_duration_s
from dobby.core.status import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby history --since 14d --status failed
  dobby history --label etl --since 2026-01-31
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "history",
        "Show who started, restarted and stopped what, when, and how it ended; newest first. A host knows\n"
        "only its accounts: a name that is no more than what the caller said is marked as claimed.",
        examples=EXAMPLES,
    )
    parser.value("--label", metavar="LABEL", help="of this job alone", completes=parsing.LABELS)
    parser.value("--user", metavar="USER", help="that this person launched or stopped")
    parser.value("--status", metavar="STATUS", help=f"one of {', '.join(NAMES)}", completes=NAMES)
    parser.value(
        "--since", metavar="WHEN", help="a UTC date or time (ISO 8601), or an age such as 14d", type=_since
    )
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.ps import show
    from dobby.cli.streams import Voice

    args = make_parser().parse(argv)
    if args.status is not None and args.status not in NAMES:
        raise UsageError(f"--status {args.status!r} is not known", did_you_mean(args.status, NAMES))
    voice = Voice()
    listing = connect(voice).history(
        label=args.label, user=args.user, status=args.status, since=args.since, host=args.host
    )
    return show(listing, voice, as_json=args.json, history=True)


@parsing.argument
def _since(text: str) -> str:
    """Left as it is for the client; raises ValueError where it is neither a date nor an age."""
    if not text[:4].isdigit():
        parse_duration_s(text)
    return text
