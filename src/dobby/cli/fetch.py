"""dobby fetch: copy a run's outputs, or paths of its sandbox, to the laptop."""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby fetch etl                          its outputs, into ./etl
  dobby fetch etl model/*.pt --to models   files of the sandbox
"""


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "fetch",
        "Copy the outputs of LABEL's run, or PATHs in its sandbox, to this machine. A file that\n"
        "differs is not overwritten without --overwrite.",
        words=("LABEL", "[PATH…]"),
        completes=(parsing.LABELS, ""),
        examples=EXAMPLES,
    )
    parser.value("--to", metavar="DIR", help="where to (default: ./LABEL)", completes=parsing.FILES)
    parser.flag("--overwrite", help="replace files that differ")
    parsing.add_run(parser)
    parsing.add_host(parser)
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.streams import Voice, print_json

    args = make_parser().parse(argv)
    label, *paths = args.words
    voice = Voice()
    got = connect(voice).fetch(
        label, paths, to=args.to, overwrite=args.overwrite, host=args.host, run=args.run
    )
    if args.json:
        print_json(got)
    else:
        voice.say(_sentence(got))
    return 1 if got["differs"] else 0


def _sentence(got: Mapping[str, Any]) -> str:
    from dobby.core.sizes import size_text
    from dobby.views.log import clean_cell

    files = f"{got['files']} file{'' if got['files'] == 1 else 's'}"
    text = f"fetched {files} ({size_text(got['bytes'])}) into {clean_cell(str(got['to']))}"
    if got["unchanged"]:
        text += f"; {got['unchanged']} unchanged"
    if got["differs"]:
        text += "\nnot overwritten, as they differ (--overwrite replaces them):"
        text += "".join(f"\n  {clean_cell(str(path))}" for path in got["differs"])
    if got.get("outside"):
        text += "\nleft there, as they link to what was not fetched:"
        text += "".join(f"\n  {clean_cell(str(path))}" for path in got["outside"])
    if got.get("repositories"):
        text += "\nleft there, as git here would run what they say (the job can pack them with tar):"
        text += "".join(f"\n  {clean_cell(str(path))}" for path in got["repositories"])
    return text
