"""dobby config: every setting, its value, and where the value comes from."""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client
    from dobby.config import Options

EXAMPLES = """\
  dobby config
  DOBBY_HOST=gpu dobby config --json
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "config",
        "Show every setting as it holds here, and where its value comes from:\n"
        "default < project's file < user's file < environment < command line.",
        examples=EXAMPLES,
    )
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice, print_json, print_table
    from dobby.config import known_settings
    from dobby.views.table import of_settings

    args = make_parser().parse(argv)
    voice = Voice()
    options = connect(voice).settings()
    if args.json:
        print_json(_as_json(options))
    else:
        print_table(of_settings(options, known_settings()))
        for warning in options.warnings:
            voice.say(f"warning: {warning}")
    return 0


def _as_json(options: Options) -> dict[str, Any]:
    from dobby.config import known_settings

    settings = {
        s.key: {
            "value": getattr(options, s.field),
            "source": options.sources[s.key],
            "variable": s.variable,
            "meaning": s.meaning,
        }
        for s in known_settings()
    }
    hosts = {name: entry.to_dict() for name, entry in options.hosts.items()}
    return {"settings": settings, "hosts": hosts, "warnings": options.warnings}
