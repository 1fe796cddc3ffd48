"""dobby run: launch; return once the host has acknowledged, or with -f stay until the end."""

from __future__ import annotations

import os

from dobby.cli import parsing
from dobby.core.errors import UsageError
from dobby.core.settings import IF_RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client

EXAMPLES = """\
  dobby run my-branch "python etl.py --all" -H gpu
  dobby run . "pytest -x" -f                 the working tree as it is now; stay with it
  dobby run main -l nightly --timeout 2h -- python etl.py --day "new year"
"""
# Options that `Client.run` takes beside the settings.
_BESIDE = ("env", "env_file", "dir", "repo", "run_id", "force", "dry_run")
_SETTINGS = (
    *("host", "label", "environment", "setup", "output", "keep", "include"),
    *("notify", "timeout", "grace", "if_running", "memory", "cpus", "nice"),
)


def make_parser() -> parsing.Parser:
    parser = parsing.Parser(
        "run",
        "Run COMMAND on a host with the code of REVISION: a branch, tag or commit, or '.' for the\n"
        "working tree as it is now. COMMAND is one string for `bash -c`; words after -- are quoted.",
        words=("REVISION", "COMMAND"),
        completes=(parsing.REVISIONS,),
        examples=EXAMPLES,
    )
    files, value = parsing.FILES, parser.value
    value(
        "-l", "--label", metavar="LABEL", help="name of the job (default: the revision)", completes="labels"
    )
    value("-H", "--host", metavar="HOST", help="where to run", completes=parsing.HOSTS)
    value("-d", "--dir", metavar="DIR", help="directory in the checkout to run in", completes=files)
    parser.flag("-f", "--follow", help="show the output until the end; exit as the job does")
    value(
        *("-e", "--env"),
        metavar="NAME[=VALUE]",
        help="forward a variable's value, which is kept secret; =VALUE is for what is no secret",
        action="append",
    )
    value("--env-file", metavar="FILE", help="NAME=VALUE lines to forward", completes=files)
    value(
        "--environment",
        metavar="NAME",
        help="how dependencies are installed, or container[:IMAGE] (default: auto)",
        action="append",
    )
    value("--setup", metavar="COMMAND", help="command that ends the set-up")
    value("-o", "--output", metavar="GLOB", help="keep these files with the run", action="append")
    value("--keep", metavar="GLOB", help="leave these for the job's next run", action="append")
    value(
        "--include",
        metavar="PATH",
        help="an ignored file or folder to bring along, from the checkout's top",
        action="append",
        completes=files,
    )
    value(
        "--notify",
        metavar="WHO",
        help="tell this address, or the host's channel of this name, too",
        action="append",
    )
    value("--timeout", metavar="TIME", help="end the run after, such as 2h")
    value(
        "--if-running",
        metavar="WHAT",
        help=f"when the label is held: {', '.join(IF_RUNNING)} (default: refuse)",
        completes=IF_RUNNING,
    )
    value("--grace", metavar="TIME", help="time between SIGINT and SIGKILL (default: 3s)")
    value("--memory", metavar="SIZE", help="most memory that the command may use, such as 4G")
    value("--cpus", metavar="NUMBER", help="most processors that it may use, such as 2 or 0.5")
    value("--nice", metavar="0-19", help="how far it stands back for other programs (default: 0)")
    value("--repo", metavar="URL", help="a repository that the host fetches itself")
    value("--run-id", metavar="ID", help="the id to give; the same again starts nothing twice")
    parser.flag("--forward-agent", help="let the set-up, not the command, use your ssh agent")
    parser.flag(
        "--force", help="run although some of what you see cannot travel, or the host lacks something"
    )
    parser.flag("--dry-run", help="say what would be done, and do nothing")
    parsing.add_json(parser)
    return parser


def main(argv: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.cli.following import announce, follow_launch
    from dobby.cli.streams import Voice, print_json

    args = _parse(argv)
    revision, command = args.words
    voice = Voice()
    client = connect(voice)
    given = _given(args)
    if args.follow and not args.dry_run:
        return follow_launch(
            lambda follower: client.run(revision, command, follower=follower, **given),
            voice,
            as_json=args.json,
        )
    run = client.run(revision, command, **given)
    if args.dry_run:  # the client has said what would be done
        if args.json:
            print_json(run.row)
        return 0
    announce(run, voice, follow=False, as_json=args.json)
    return 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line gives, and for options that are no settings, DOBBY_DIR and the like."""
    from dobby.config import from_environment

    given = {**from_environment(os.environ)}
    given.update({key: getattr(args, key) for key in (*_SETTINGS, *_BESIDE) if getattr(args, key)})
    return given


def _parse(argv: list[str]) -> argparse.Namespace:
    """The options, with `words` [revision, command]. Raises UsageError."""
    parser = make_parser()
    before, after = parsing.split_words(argv)
    args, words = parser.parse_mixed(before)
    unknown = [word for word in words if parsing.looks_like_option(word)]
    if unknown and (words[0] in unknown or len(words) < 3 or _is_slip(parser, unknown[0])):
        parser.refuse_option(unknown[0])
    if len(words) > 2:
        raise _unquoted(before, words)
    if after is None:
        return parser.parse(before)
    if len(words) == 2:
        raise UsageError(f"one command, {words[1]!r}, stands before -- and one after it", "give only one")
    if not words or not after:
        raise UsageError(
            "dobby run needs REVISION before -- and the command's words after it", f"usage: {parser.usage}"
        )
    args.words = [words[0], _join(after)]
    return args


def _is_slip(parser: parsing.Parser, option: str) -> bool:
    """Whether an unknown option is more likely a slip in one of ours than the command's own."""
    from difflib import get_close_matches

    return bool(get_close_matches(option.split("=")[0], parser.option_kinds, cutoff=0.8))


def _unquoted(argv: list[str], words: list[str]) -> UsageError:
    """The command was given as several words: show the quoted form, our own options after it."""
    options = list(argv)
    for word in words:
        options.remove(word)
    quoted = " ".join(["dobby run", _join([words[0]]), _join([_join(words[1:])]), _join(options)]).rstrip()
    return UsageError(
        f"the command is one string, and {words[2]!r} is one word too many",
        f"quote it: {quoted}\n  or put -- before its words",
    )


def _join(words: list[str]) -> str:
    import shlex

    return shlex.join(words)
