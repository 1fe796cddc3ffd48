"""The command `dobby`: finds the verb, and turns every way to fail into a sentence and a code.

A verb's module offers `make_parser() -> Parser` and `main(argv, connect) -> int`, and is
imported only when it is called; --help and --version import nothing else.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn

    from dobby.cli.streams import Voice
    from dobby.client import Client
    from dobby.core.errors import DobbyError

VERBS = (
    *("run", "ps", "logs", "wait", "stop", "restart"),
    *("fetch", "shell", "clean", "history", "host", "channel", "config", "completion"),
)
HIDDEN = {"_complete": "completing"}
INTERRUPTED, BROKEN_PIPE = 130, 141
# New objects between two collections: Python's own 700 costs 3 ms while modules are imported.
_GARBAGE = 20_000

OVERVIEW = """\
dobby: run any branch, or the working tree as it stands, on another machine.

  dobby run my-branch "python etl.py --all" -H gpu

launch
  run REVISION COMMAND   run it; returns once the host has acknowledged ('.' is the working tree)
  restart LABEL          the same again, on the revision's present tip

watch
  ps [LABEL…]            jobs on all hosts: live ones, and each job's latest run
  logs LABEL             its log; -f follows, across lost connections
  wait LABEL             until it is final; exits as the job did
  history                who ran what, when, how it ended

afterwards
  fetch LABEL [PATH…]    copy its outputs, or files of its sandbox, here
  shell LABEL            a shell in its sandbox
  stop LABEL             end it; returns once nothing of it is left
  clean LABEL…           remove what it left on the host; history stays

settings
  host ACTION            add, list, check or remove hosts by name
  channel ACTION         add, list, test or remove the places where a host's notices go
  config                 every setting, its value, and where that comes from
  completion SHELL       tab completion for bash, zsh or fish

dobby VERB --help tells all options, with examples. --version tells the version.
"""


def program() -> NoReturn:
    """`main` as a process of its own, which ends at once: to take a Python to pieces takes 2 ms, and
    nothing of what it has imported or made would be kept by that."""
    gc.set_threshold(_GARBAGE)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed by the caller, or by who read it
            continue
    os._exit(code)


def main(argv: list[str] | None = None, *, connect: Callable[[Voice], Client] | None = None) -> int:
    """The exit code. `connect` makes the client; tests give one of their own."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    try:
        return _guarded(words, connect or _connect)
    except KeyboardInterrupt:
        return INTERRUPTED


def _guarded(words: list[str], connect: Callable[[Voice], Client]) -> int:
    from dobby.core.errors import DobbyError

    try:
        return _dispatch(words, connect)
    except SystemExit as end:  # argparse, after it has shown the help
        return int(end.code or 0)
    except DobbyError as error:
        return _fail(error, words)
    except Exception as error:
        from dobby.cli.streams import OutputClosed

        if isinstance(error, OutputClosed):
            return BROKEN_PIPE
        from dobby.cli.bugs import as_bug

        return _fail(as_bug(error), words)


def _fail(error: DobbyError, words: list[str]) -> int:
    from dobby.cli.streams import show_error

    before = words[: words.index("--")] if "--" in words else words
    show_error(error, as_json="--json" in before)
    return error.exit_code


def _dispatch(words: list[str], connect: Callable[[Voice], Client]) -> int:
    if not words:
        _refuse("no verb is given", "dobby --help lists them")
    verb, rest = words[0], words[1:]
    if verb == "help":
        verb, rest = (rest[0], ["--help"]) if rest else ("--help", [])
    if verb in ("-h", "--help"):
        return _print(OVERVIEW)
    if verb in ("-V", "--version"):
        from dobby import __version__

        return _print(f"dobby {__version__}\n")
    if verb not in VERBS and verb not in HIDDEN:
        _refuse_verb(verb, rest)
    return int(load_verb(verb).main(rest, connect))


def load_verb(verb: str) -> ModuleType:
    """The module of a verb that is known."""
    name = f"dobby.cli.{HIDDEN.get(verb, verb)}"
    __import__(name)
    return sys.modules[name]


def _print(text: str) -> int:
    from dobby.cli.streams import write_out

    write_out(text.encode())
    return 0


def _refuse_verb(word: str, rest: list[str]) -> None:
    if word.startswith("-"):
        verbs = [other for other in rest if other in VERBS]
        _refuse(
            f"the verb comes before its options, and {word!r} is none",
            f"write dobby {verbs[0]} {word} …" if verbs else "dobby --help lists the verbs",
        )
    from dobby.core.settings import did_you_mean

    _refuse(f"dobby has no verb {word!r}", did_you_mean(word, VERBS))


def _refuse(message: str, hint: str) -> None:
    from dobby.core.errors import UsageError

    raise UsageError(message, hint)


def _connect(voice: Voice) -> Client:
    from dobby.cli.streams import is_terminal
    from dobby.client import Client

    interactive = is_terminal(sys.stdin)
    return Client(say=voice.say, progress=voice.progress, interactive=interactive, lasting=False)


if __name__ == "__main__":
    program()
