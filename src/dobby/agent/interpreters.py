"""The host's Python for a project. Asked once: while programs and wishes are the same, no process
is started for it."""

from __future__ import annotations

import os

from dobby.agent import durable, spawn, variables
from dobby.core.plan import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.agent.survey import Checkout
    from dobby.core.interpreter import Wish

_NAMED = "python3."
_ASK = "import os, sys; print(os.path.realpath(sys.executable), *sys.version_info[:3], sep=chr(10))"


def find(env: Mapping[str, str], tree: Checkout, memo: str, wanted: tuple[Wish, ...]) -> str:
    """The absolute path of the first that is fit: python3, then the newest python3.X. "" where
    the host has none at all. Raises PlanError when there are some, and none is fit."""
    candidates = _candidates(env)
    if not candidates:
        return ""
    if not wanted and not _is_script(candidates[0]):
        return os.path.realpath(candidates[0])
    steering = [tree.read(f"{up}.python-version") for up in ("", *_ups(tree.dir))]
    question = repr(([*map(stamp, candidates)], wanted, env.get("PYENV_VERSION"), steering))
    asked, _, answer = (durable.read(memo) or b"").decode("utf-8", "surrogateescape").partition("\n")
    if asked == question and os.access(answer, os.X_OK):
        return answer
    answer = _fit(candidates, env, tree, wanted)
    durable.replace(memo, f"{question}\n{answer}".encode("utf-8", "surrogateescape"))
    return answer


def stamp(path: str) -> str:
    """Path, size and date of a program: no process is needed to see that it is the same."""
    stat = os.stat(path)
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _fit(candidates: list[str], env: Mapping[str, str], tree: Checkout, wanted: tuple[Wish, ...]) -> str:
    from dobby.core import interpreter

    have, trouble = [], ""
    for path in candidates:
        code, out, said = spawn.capture((path, "-I", "-c", _ASK), cwd=tree.path, env=env)
        answer, *numbers = os.fsdecode(out).split("\n")[:4]
        if code or not os.access(answer, os.X_OK):
            trouble = trouble or f"{path} gives no interpreter: {said.decode('utf-8', 'replace').strip()}"
            if not wanted:
                break
            continue
        version = ".".join(numbers)
        if interpreter.is_fit(version, wanted):
            return answer
        have.append(version)
    raise PlanError(interpreter.sentence(wanted, have) if have else trouble)


def _candidates(env: Mapping[str, str]) -> list[str]:
    """python3 as PATH has it, then each python3.X, the newest first."""
    minors: set[int] = set()
    for entry in env.get("PATH", variables.PLAIN_PATH).split(":"):
        if entry.startswith("/"):
            named = (name[len(_NAMED) :] for name in _names(entry) if name.startswith(_NAMED))
            minors.update(int(minor) for minor in named if minor.isdecimal())
    names = ["python3", *(f"python3.{minor}" for minor in sorted(minors, reverse=True))]
    return [path for path in (variables.find(name, env) for name in names) if path]


def _names(dir: str) -> list[str]:
    try:
        return os.listdir(dir)
    except OSError:
        return []


def _is_script(path: str) -> bool:
    """A version manager's shim."""
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def _ups(dir: str) -> list[str]:
    return ["../" * n for n in range(1, len(dir.split("/")) + 1)] if dir else []
