"""The words of one verb: argparse for options, our own sentences for what is wrong."""

from __future__ import annotations

import argparse
import os

from dobby.cli.streams import write_out
from dobby.core.errors import UsageError
from dobby.core.settings import nearest, parse_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

# What an option's value or a word can be completed with, see cli/completing.py.
LABELS, HOSTS, REVISIONS, FILES = "labels", "hosts", "revisions", "files"


class Parser(argparse.ArgumentParser):
    """Options anywhere among the words; what is wrong is a UsageError.

    `words` names the words that the verb takes, "LABEL" once, "[LABEL]" at most once,
    "LABEL…" once or more, "[LABEL…]" any number; `completes` says with what."""

    def __init__(
        self,
        verb: str,
        about: str,
        *,
        words: Sequence[str] = (),
        completes: Sequence[str | Sequence[str]] = (),
        examples: str,
    ) -> None:
        super().__init__(
            prog=f"dobby {verb}",
            usage=" ".join(["dobby", verb, *words, "[options]"]),
            description=about,
            epilog=f"examples:\n{examples}",
            formatter_class=_formatter,
            allow_abbrev=False,
        )
        self.verb = verb
        self.words = tuple(words)
        self.word_kinds = tuple(completes)
        self.option_kinds: dict[str, str | Sequence[str] | None] = {"-h": None, "--help": None}

    def value(
        self, *names: str, metavar: str, help: str, completes: str | Sequence[str] = "", **how: Any
    ) -> None:
        """An option with a value."""
        self.add_argument(*names, metavar=metavar, help=help, **how)
        self.option_kinds.update(dict.fromkeys(names, completes))

    def flag(self, *names: str, help: str) -> None:
        """An option that is given or not."""
        self.add_argument(*names, action="store_true", help=help)
        self.option_kinds.update(dict.fromkeys(names))

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options, with `words` (a list) checked in number. What follows `--` are words."""
        before, after = split_words(argv)
        found, words = self.parse_mixed(before)
        for word in words:
            if looks_like_option(word):
                self.refuse_option(word)
        found.words = words + (after or [])
        self._check_number(found.words)
        return found

    def parse_mixed(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The options in `argv`, which holds no `--`, and all else in its order: the words, and
        options that are not known."""
        # To argparse the verb has no positionals, so that options may stand anywhere: what it
        # cannot place it hands back in order, in every version of Python.
        return self.parse_known_args(list(argv))

    def refuse_option(self, word: str) -> NoReturn:
        name = word.split("=")[0]
        near = nearest(name, self.option_kinds)
        hint = f"did you mean {near}?" if near else f"see dobby {self.verb} --help"
        raise UsageError(f"dobby {self.verb} has no option {name}", hint)

    def _check_number(self, words: list[str]) -> None:
        least = sum(1 for word in self.words if not word.startswith("["))
        many = any("…" in word for word in self.words)
        if len(words) < least:
            missing = " ".join(self.words[len(words) : least])
            raise UsageError(f"dobby {self.verb} needs {missing}", f"usage: {self.usage}")
        if not many and len(words) > len(self.words):
            raise UsageError(
                f"dobby {self.verb} does not know what to do with {words[len(self.words)]!r}",
                f"usage: {self.usage}",
            )

    def print_help(self, file: object = None) -> None:
        """In UTF-8 whatever the locale: to stdout, which the caller may have closed."""
        write_out(self.format_help().encode())

    def error(self, message: str) -> NoReturn:
        """argparse's own complaints, in our form."""
        raise UsageError(message.removeprefix("argument "), f"see dobby {self.verb} --help")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse makes one for every option that is declared; without a width each asks shutil, whose
    import costs more than the parsing."""
    return argparse.RawDescriptionHelpFormatter(prog, width=_width())


def _width() -> int:
    """As argparse chooses it: $COLUMNS, the terminal's, 80; less 2."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size(1).columns or 80) - 2
    except OSError:
        return 78


def check_words(verb: str, words: Sequence[str], needed: Sequence[str], most: int | None) -> None:
    """The number of words behind one of a verb's actions. Raises UsageError."""
    if len(words) < len(needed):
        raise UsageError(
            f"dobby {verb} needs {' '.join(needed[len(words) :])}", f"see dobby {verb.split()[0]} --help"
        )
    if most is not None and len(words) > most:
        raise UsageError(
            f"dobby {verb} does not know what to do with {words[most]!r}",
            f"see dobby {verb.split()[0]} --help",
        )


def split_words(argv: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """What stands before the first `--`, and after it (None where there is no `--`)."""
    words = list(argv)
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1 :]


def looks_like_option(word: str) -> bool:
    """As argparse sees it: text with a space in it is a word, such as a command."""
    return word.startswith("-") and len(word) > 1 and " " not in word


# --- options that several verbs have -------------------------------------------------------


def add_host(parser: Parser) -> None:
    parser.value("-H", "--host", metavar="HOST", help="ask this host alone", completes=HOSTS)


def add_run(parser: Parser) -> None:
    parser.value("--run", metavar="ID", help="that run instead of the latest; may be shortened")


def add_json(parser: Parser) -> None:
    parser.flag("--json", help="answer with one JSON object")


# --- types of values -----------------------------------------------------------------------


def argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`read` for argparse, which shows no other error's own words."""

    def reads(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reads


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise ValueError(f"must be a whole number from 0, not {text!r}")
    return int(text)


duration_s = argument(parse_duration_s)
count = argument(_parse_count)
