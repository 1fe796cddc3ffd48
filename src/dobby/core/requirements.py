"""requirements.txt: the files that it includes, and the lines that name a local path.

The format is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath

from dobby.core.lazy import regex
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Tree

FILE = "requirements.txt"

_CONTINUED = regex(r"\\\r?\n")
_FILE_URL = regex(r"^file:(?://(?:localhost)?(?=/))?")
_INCLUDE = regex(r"(?:-r|-c|--requirement|--constraint)[ \t=]*(\S+)")
_EDITABLE = regex(r"(?:-e|--editable)[ \t=]*(.+)")
_COMMENT = regex(r"(?:^|[ \t])#.*")
_TRAILING = regex(r"[ \t]+(?:;|--).*")  # a marker, or options of one requirement
_EXTRAS = regex(r"\[[^][/]*\]\Z")
_NAMED = regex(r"[A-Za-z0-9._-]+(?:\[[^][]*\])?[ \t]*@[ \t]*")


# In requirements/, by the use of cookiecutter-django and others: what runs, not what tests it.
_FOLDER = "requirements"
_BY_NAME = ("requirements", "base", "main", "default", "common", "prod", "production")
_BESIDE = regex(r"requirements[-_.].+\.txt\Z")


class Local(Record):
    """A requirement that names a path. `word` is what an installer is given, `path` the same
    relative to the directory of the tree ("" is that directory itself)."""

    word: str
    path: str
    editable: bool


def entry(tree: Tree, sure: bool = False) -> str:
    """The file to install from, "" where there is none: requirements.txt; else, unless the directory
    declares itself in another way (`sure`), the one of requirements/ that is named for what runs, or
    the only one there, or the only requirements-*.txt."""
    if sure or tree.read(FILE) is not None:
        return FILE if tree.read(FILE) is not None else ""
    folder = [name for name in tree.names(_FOLDER) if name.endswith(".txt")]
    for name in _BY_NAME:
        if f"{name}.txt" in folder:
            return f"{_FOLDER}/{name}.txt"
    for only in ([f"{_FOLDER}/{name}" for name in folder], [*filter(_BESIDE.match, tree.names())]):
        if len(only) == 1:
            return only[0]
    return ""


def included(tree: Tree, first: str = FILE) -> list[tuple[str, str]]:
    """`first` and all that it includes by -r and -c: (path, content), in order of
    first mention. A file that is not there is passed over: the installer will name it."""
    files: dict[str, str] = {}
    ahead = [first] if first else []
    while ahead:
        path = ahead.pop(0)
        text = tree.read(path)
        if path in files or text is None:
            continue
        files[path] = text
        for line in logical_lines(text):
            if (match := _INCLUDE.match(line)) and "://" not in match[1]:
                ahead.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1])))
    return list(files.items())


def logical_lines(text: str) -> list[str]:
    """Lines without comments and blanks, those continued by a backslash joined."""
    joined = _CONTINUED.sub("", text)
    return [line for raw in joined.splitlines() if (line := _COMMENT.sub("", raw).strip())]


def local_paths(files: list[tuple[str, str]]) -> list[Local]:
    """The requirements that name a path of this checkout, in order. Relative paths start at
    the directory in which the installer runs, whatever file they stand in."""
    found: dict[str, Local] = {}
    for _, text in files:
        for line in logical_lines(text):
            if (local := parse_local(line)) is not None:
                found.setdefault(local.word, local)
    return list(found.values())


def parse_local(line: str) -> Local | None:
    """The local path that a line names, None for anything else."""
    editable = _EDITABLE.match(line)
    if line.startswith("-") and not editable:
        return None
    word = _TRAILING.sub("", editable[1] if editable else line).strip().strip("\"'")
    place = _EXTRAS.sub("", _NAMED.sub("", word))
    if place.startswith("file:"):
        place = _FILE_URL.sub("", place).partition("#")[0]
    elif "://" in place or not _looks_like_path(place, bool(editable)):
        return None
    path = posixpath.normpath(place)
    return Local(word=word, path="" if path == "." else path, editable=bool(editable))


def _looks_like_path(place: str, editable: bool) -> bool:
    """pip takes for a path what starts with a dot or holds a slash; after -e, anything."""
    return editable or place.startswith(".") or "/" in place
