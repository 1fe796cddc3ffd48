"""Which Python a project wants, and whether one is fit for it.

Version specifiers: https://packaging.python.org/en/latest/specifications/version-specifiers/
and Poetry's: https://python-poetry.org/docs/dependency-specification/
"""

from __future__ import annotations

import posixpath

from dobby.core import pyproject, recipe, toml
from dobby.core.lazy import regex
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.core.plan import Tree

_PLAIN = regex(r"(?:cpython-?|python-?)?(\d+(?:\.\d+){0,2})\Z")
_OR, _AND = regex(r"\|\|?"), regex(r",|(?<=[\d*])\s+(?=\D)")
_SERIES, _DIGITS = regex(r"==[\d.]+\.\*"), regex(r"\d+")
_CLAUSE = regex(r"(===|==|!=|~=|<=|>=|<|>|\^|~)?\s*v?(\d+(?:\.\d+)*)(\.\*|\.x)?\Z")


class Wish(Record):
    """`spec` as the file has it, "3.12" or ">=3.9,<3.13"; `source` is the file that says so."""

    spec: str
    source: str


def wishes(tree: Tree, kind: str) -> tuple[Wish, ...]:
    """All that the directory and those above it ask for, where the kind of environment `kind`
    goes by it. One that cannot be understood (a name in pyenv) is left to the tools."""
    found = []
    for up in ("", *recipe.ups(tree)):
        path = posixpath.join(up, ".python-version")
        text = tree.read(path)
        if text is not None:
            match = _PLAIN.match(next(iter(text.split()), ""))
            found += [Wish(spec=f"=={match[1]}.*", source=path)] if match else []
            break
    document = pyproject.read(tree).document
    project, poetry = document.get("project"), document.get("tool", {}).get("poetry", {})
    specs = [project.get("requires-python")] if isinstance(project, dict) else []
    if kind == "poetry":
        specs.append(poetry.get("dependencies", {}).get("python"))
    found += [Wish(spec=spec, source=pyproject.FILE) for spec in specs if isinstance(spec, str)]
    return (*found, *(_of_pipfile(tree) if kind == "pipenv" else ()))


def _of_pipfile(tree: Tree) -> list[Wish]:
    try:
        requires = toml.parse(tree.read("Pipfile") or "").get("requires", {})
    except ValueError:
        return []
    version = requires.get("python_full_version") or requires.get("python_version")
    is_plain = isinstance(version, str) and _PLAIN.match(version)
    return [Wish(spec=f"=={version}.*", source="Pipfile")] if is_plain else []


def is_fit(version: str, wanted: Iterable[Wish]) -> bool:
    """Whether "3.11.7" is what every one of them asks for."""
    numbers = _numbers(version)
    return all(any(_holds_all(numbers, choice) for choice in _OR.split(wish.spec)) for wish in wanted)


def sentence(wanted: Iterable[Wish], have: Iterable[str]) -> str:
    """Why there is none, and what to do."""
    told = ", ".join(f"{_shown(wish.spec)} ({wish.source})" for wish in wanted)
    found = sorted({".".join(version.split(".")[:2]) for version in have}, key=_numbers)
    there = f"the host has {' and '.join(found)}" if found else "the host has none"
    return (
        f"the project wants Python {told}; {there}: install it there, name its directory in `path` of "
        "the host's settings, or ask for another version"
    )


def _shown(spec: str) -> str:
    return spec[2:-2] if _SERIES.fullmatch(spec) else spec


def _holds_all(version: tuple[int, ...], clauses: str) -> bool:
    return all(_holds(version, clause.strip()) for clause in _AND.split(clauses))


def _holds(version: tuple[int, ...], clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if not match:
        return True  # "*", or what only the tool itself understands
    operator, numbers, is_prefix = match[1] or "==", _numbers(match[2]), bool(match[3])
    size = len(numbers)
    padded = (*numbers, 0, 0)[: max(3, size)]
    same = version[:size] == numbers if is_prefix else version == padded
    if operator in ("==", "==="):
        # Poetry's plain "3.11" is 3.11 alone; written so, people mean the series.
        return same or (match[1] is None and version[:size] == numbers)
    if operator == "!=":
        return not same
    if operator == "^":
        return padded <= version < (numbers[0] + 1,)
    if operator in ("~", "~="):
        kept = numbers[:-1] if operator == "~=" or size > 2 else numbers[:2]
        return padded <= version and version[: len(kept)] == kept
    return {
        "<": version < padded,
        "<=": version <= padded,
        ">": version > padded,
        ">=": version >= padded,
    }[operator]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _DIGITS.findall(version))
