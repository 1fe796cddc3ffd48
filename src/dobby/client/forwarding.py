"""Values of environment variables that travel beside a request and are never stored."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.names import check_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def forwarded(
    words: Iterable[str], file_values: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """`-e NAME` and the lines of --env-file are values to forward; `-e NAME=VALUE` is no secret,
    and what -e says counts more than the file. Answers (values, variables). Raises UsageError."""
    values, variables = dict(file_values), {}
    for word in words:
        name, equals, value = word.partition("=")
        check_variable(name)
        if "\0" in value:
            raise UsageError(f"the value of {name} holds a NUL byte, which no program can be given")
        if equals:
            variables[name] = value
            values.pop(name, None)
        elif name in environ:
            values[name] = environ[name]
            variables.pop(name, None)
        elif name not in values:
            raise UsageError(f"{name} is not set here, so it cannot be forwarded", f"export {name}=…")
    return values, variables


def read_env_file(path: str) -> dict[str, str]:
    """NAME=VALUE lines; '#' begins a comment line; one pair of quotes around a value is taken off.
    No message quotes a line: it may be a secret."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise UsageError(f"env file {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        text = line.strip(" \t\r").removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or "\0" in value:
            raise UsageError(f"env file {path}, line {number} is no NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        try:
            found[check_variable(name.strip(" \t"))] = value
        except UsageError as error:
            raise UsageError(f"env file {path}, line {number} has no name that fits", error.hint) from None
    return found
