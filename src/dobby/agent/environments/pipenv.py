"""Pipenv: what Pipfile.lock says, into a venv beside the sandbox. https://pipenv.pypa.io/"""

from __future__ import annotations

from dobby.core import venv
from dobby.core.lazy import regex
from dobby.core.plan import LOCKED, NOT_DECLARED, Layer, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Plan, Tools, Tree

FAMILY = "python"
NEEDS = ("pipenv", "python3")
HINTS: tuple[tuple[str, str], ...] = ()

_LOCK = "Pipfile.lock"
_PATH = regex(r'"(?:path|file)": "(?!\w+://)')


def detect(tree: Tree) -> int:
    return LOCKED if tree.read(_LOCK) is not None else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    lock, python = venv.locked(tree, _LOCK, "pipenv"), venv.python3(tools)
    pipenv, has_paths = tools.found["pipenv"], bool(_PATH.search(lock))
    # --deploy: a lock that is older than its Pipfile is refused. What has left it is removed.
    install = (pipenv, "install", "--deploy", "--python", python)
    variables = (
        ("PIPENV_CUSTOM_VENV_NAME", "venv"),
        ("WORKON_HOME", tools.where),
        ("PIPENV_VENV_IN_PROJECT", "0"),
        ("PIPENV_IGNORE_VIRTUALENVS", "1"),
        ("PIPENV_PIPFILE", f"{tree.path}/Pipfile"),
        ("PIPENV_NOSPIN", "1"),
        ("PIPENV_YES", "1"),
        ("PIPENV_DONT_LOAD_ENV", "1"),
        ("NO_COLOR", "1"),
        ("COLUMNS", "400"),  # or it would break its sentences into lines
    )
    keys = [
        ("pipenv", tools.identity),
        ("lock", lock),
        ("Pipfile", tree.read("Pipfile") or ""),
        ("snapshot", tree.snapshot if has_paths else ""),
    ]
    layer = Layer(
        name="dependencies",
        key=key_text(*keys),
        steps=(install,),
        cwd=tree.path,
        variables=variables,
        fresh=has_paths,
        tidy=((pipenv, "clean"),),
    )
    return venv.plan(tools, (layer,))
