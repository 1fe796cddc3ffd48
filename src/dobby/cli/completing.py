"""What the words of a command line can be completed with. Asks no network, says no error.

Called by the shells' scripts (cli/completion.py) as `dobby _complete WORD… CURRENT`, with the
words after `dobby`. Prints one candidate a line; FILES alone means "names of files".
"""

from __future__ import annotations

from dobby.cli import parsing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

FILES = ":files"


def main(argv: list[str], connect: Callable[..., Any]) -> int:
    from dobby.cli.streams import print_out

    try:
        found = candidates(argv, {"labels": _labels, "hosts": _hosts, "revisions": _revisions})
    except Exception:  # a broken settings file, say: not to be told in the midst of a prompt
        return 0
    for candidate in found:
        print_out(candidate)
    return 0


def candidates(words: list[str], sources: Mapping[str, Callable[[], Iterable[str]]]) -> list[str]:
    """What can stand in place of the last of `words`. `sources` gives labels, hosts, revisions."""
    from dobby.cli.main import VERBS, load_verb

    *done, current = _rejoin(words) or [""]
    if not done:
        return _matching(current, [*VERBS, "--help", "--version"])
    if done[0] not in VERBS or "--" in done:
        return [FILES]
    parser = load_verb(done[0]).make_parser()
    return _of_verb(parser, done[1:], current, sources)


def _of_verb(
    parser: parsing.Parser,
    done: list[str],
    current: str,
    sources: Mapping[str, Callable[[], Iterable[str]]],
) -> list[str]:
    """`done` are the words of the verb before the current one."""
    kinds = parser.option_kinds
    if done and kinds.get(done[-1]) is not None:
        return _of_kind(kinds[done[-1]], current, sources)
    option, equals, value = current.partition("=")
    if equals and kinds.get(option) is not None:
        found = _of_kind(kinds[option], value, sources)
        return found if found == [FILES] else [f"{option}={candidate}" for candidate in found]
    if current.startswith("-"):
        return _matching(current, [name for name in kinds if name.startswith("--")])
    at = _number_of_words(parser, done)
    if not parser.word_kinds:
        return []
    many = "…" in parser.words[-1]
    if at >= len(parser.word_kinds) and not many:
        return [FILES] if at < len(parser.words) else []
    return _of_kind(parser.word_kinds[min(at, len(parser.word_kinds) - 1)], current, sources)


def _number_of_words(parser: parsing.Parser, done: list[str]) -> int:
    """How many of `done` are neither options nor their values."""
    number, is_value = 0, False
    for word in done:
        if not is_value and not parsing.looks_like_option(word):
            number += 1
        is_value = not is_value and parser.option_kinds.get(word) is not None
    return number


def _of_kind(kind: Any, current: str, sources: Mapping[str, Callable[[], Iterable[str]]]) -> list[str]:
    if kind == parsing.FILES:
        return [FILES]
    if isinstance(kind, str):
        return _matching(current, sources[kind]()) if kind in sources else []
    return _matching(current, kind)


def _matching(current: str, known: Iterable[str]) -> list[str]:
    return [word for word in known if word.startswith(current) and word.isprintable()]


def _rejoin(words: list[str]) -> list[str]:
    """bash parts words at "=": `--host = gpu` is `--host=gpu`."""
    joined: list[str] = []
    for word in words:
        after_equals = joined and joined[-1].startswith("--") and joined[-1].endswith("=")
        if joined and (after_equals or (word == "=" and joined[-1].startswith("--"))):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


# --- where candidates come from: this machine alone --------------------------------------------


def _labels() -> list[str]:
    from dobby.client.state import known_labels

    return known_labels()


def _hosts() -> list[str]:
    import os

    from dobby.client.state import known_hosts
    from dobby.config import load_user_file, resolve

    named = resolve(user_file=load_user_file(os.environ)).hosts
    return sorted({"local", *named, *known_hosts()})


def _revisions() -> list[str]:
    import subprocess

    refs = ("refs/heads", "refs/tags", "refs/remotes")
    argv = ["git", "for-each-ref", "--format=%(refname:short)", "--sort=-committerdate", *refs]
    listed = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return [".", *listed.stdout.decode("utf-8", "replace").split()]
