"""Installers that the host lacks: dobby gets them by pip, once for the account, into
~/.dobby/tools/NAME. Made under a lock; a marker written last tells a whole one from half of one.
"""

from __future__ import annotations

import os
import sys

from dobby.agent import durable, locks, trees, variables
from dobby.agent.steps import StepFailed
from dobby.core import failure, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.agent.steps import Steps

FROM_INDEX = ("uv", "poetry", "pipenv")  # a program, and the package that has it
_MARKER = "made-by-dobby"
_QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "UV_NO_PROGRESS": "1"}


def provide(name: str, home: str, env: Mapping[str, str], steps: Steps) -> str:
    """The absolute path of the program, got where it is not there yet. Raises StepFailed, OSError."""
    where = layout.tool(home, name)
    program = f"{where}/bin/{name}"
    if _is_whole(where, program):
        return program
    durable.make_dirs(os.path.dirname(where))
    lock = locks.take(f"{where}.lock", wait=True)
    assert lock is not None  # noqa: S101 - it waited
    try:
        if not _is_whole(where, program):
            steps.say(f"the host has no {name}: getting it, into {where}")
            _make(name, where, env, steps)
    finally:
        os.close(lock)
    return program


def lead_to(program: str) -> str:
    """A directory for PATH with the program alone: beside the program itself lies a python."""
    top, _, name = program.rpartition("/bin/")
    durable.make_dirs(f"{top}/path")
    try:
        os.symlink(f"../bin/{name}", f"{top}/path/{name}")
    except FileExistsError:
        return f"{top}/path"
    return f"{top}/path"


def _is_whole(where: str, program: str) -> bool:
    """An interpreter that the host has removed takes the program with it."""
    return all(map(os.path.exists, (f"{where}/{_MARKER}", program, f"{where}/bin/python")))


def _make(name: str, where: str, env: Mapping[str, str], steps: Steps) -> None:
    """In its final place: the scripts of a venv name the place where it was made."""
    if os.path.exists(f"{where}/{_MARKER}"):
        os.unlink(f"{where}/{_MARKER}")
    trees.remove_tree(where)
    uv = variables.find("uv", env)
    python = f"{where}/bin/python"
    made: tuple[str, ...]
    install: tuple[str, ...]
    if uv:
        made = (uv, "venv", "--quiet", "--python", sys.executable, where)
        install = (uv, "pip", "install", "--quiet", "--python", python, name)
    else:
        made = (sys.executable, "-I", "-m", "venv", where)
        install = (python, "-I", "-m", "pip", "install", "--quiet", name)
    try:
        for argv in (made, install, (f"{where}/bin/{name}", "--version")):
            steps.run(argv, "/", {**env, **_QUIET})
    except StepFailed as failed:
        said = f"the host has no {name}, and dobby could not get it: install it there"
        raise steps.fail(f"{failure.OURS}{said}\n{failed.tail}", failed.command, failed.code) from None
    durable.replace(f"{where}/{_MARKER}", b"")
