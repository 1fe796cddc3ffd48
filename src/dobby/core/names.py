"""Names (labels, projects, runs, revisions) and addresses: what is allowed, and how others are made fit."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.lazy import regex

MAX_LENGTH = 64
_UNFIT = regex(r"[^A-Za-z0-9._-]+")
_DOTS = regex(r"\.{2,}")
# A part of RFC 5322 that no header, list or shell can misread: no quotes, brackets, controls.
_ADDRESS = regex(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}\Z")
_RULE = (
    "1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit, without '..', "
    "not ending in '.' or '.lock'"
)


def is_name(text: str) -> bool:
    """Whether `text` may be a label, project or run id: safe as a file name and a git ref."""
    if not (text.isascii() and text[:1].isalnum() and len(text) <= MAX_LENGTH):
        return False
    rest = text.replace(".", "").replace("_", "").replace("-", "")
    return rest.isalnum() and ".." not in text and not text.endswith((".", ".lock"))


def check_name(text: str, what: str) -> str:
    """`text` itself. Raises UsageError naming `what` ("label", "project", "run id")."""
    if not is_name(text):
        raise UsageError(f"{what} {shown(text)} is not allowed", f"a {what} is {_RULE}")
    return text


def is_address(text: str) -> bool:
    """Whether mail can be sent to `text`: one plain address, such as ann@example.org."""
    return bool(_ADDRESS.match(text)) and len(text) <= 254 and not text.startswith("-")


def check_who(text: str) -> str:
    """`text` itself, when it names somebody to tell: an address, or a channel by its name.
    Raises UsageError."""
    if not (is_address(text) if "@" in text else is_name(text)):
        raise UsageError(
            f"{shown(text)} is nobody who could be told", "give an address, or the name of a channel"
        )
    return text


def check_revision(revision: str) -> str:
    """`revision` itself. Raises UsageError for what git could take as an option."""
    if not revision or revision.startswith("-") or any(ord(c) < 32 or ord(c) == 127 for c in revision):
        raise UsageError(
            f"revision {shown(revision)} is not allowed", "give a branch, a tag, a commit or ."
        )
    return revision


def check_inside(path: str, what: str) -> str:
    """A relative path or glob that cannot leave its root. Raises UsageError."""
    if path.startswith(("/", "~")) or ".." in path.split("/") or "\0" in path:
        raise UsageError(f"{what} {shown(path)} leaves the checkout", "give a path relative to its top")
    return path


def check_program(name: str) -> str:
    """A program's name, as it is looked for in PATH. Raises UsageError."""
    if not name or "/" in name or not name.isprintable() or any(c.isspace() for c in name):
        raise UsageError(f"{shown(name)} is no program's name", "give a name such as psql, no path")
    return name


def check_variable(name: str) -> str:
    """A name that an environment may hold. Raises UsageError; DOBBY_ is ours."""
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"{shown(name)} is no name of an environment variable")
    if name.startswith("DOBBY_"):
        raise UsageError(f"{name} is set by dobby itself", "choose a name without DOBBY_")
    return name


def make_name(text: str, fallback: str) -> str:
    """`text` made fit: other characters become '-'; `fallback` when nothing is left."""
    fit = _UNFIT.sub("-", text)
    fit = _DOTS.sub(".", fit).lstrip("._-")[:MAX_LENGTH]
    while fit.endswith((".", "-", ".lock")):
        fit = fit[:-5] if fit.endswith(".lock") else fit[:-1]
    return fit if is_name(fit) else fallback


def shown(text: str, most: int = 80) -> str:
    """`text` quoted for a message: control characters escaped, cut to `most` characters."""
    return repr(text if len(text) <= most else text[:most] + "…")
