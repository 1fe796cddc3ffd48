"""The rooms of the design, held: who may import whom, read from the source and never run."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parent.parent / "src"
FILES = sorted(SOURCE.rglob("*.py"))
SHIPPED = [f for f in FILES if f.relative_to(SOURCE / "dobby").parts[0] in ("core", "agent")]

# CPython's own SHA-256, under the names that it has had.
STANDARD = sys.stdlib_module_names | {"_sha2", "_sha256"}
# Each costs the agent milliseconds at every call, or brings in what does.
SLOW = {
    "dataclasses",
    "typing",
    "subprocess",
    "pathlib",
    "enum",
    "tempfile",
    "asyncio",
    "logging",
    "inspect",
}
IMPURE = {"os", "subprocess", "time", "io", "pathlib", "shutil", "socket", "tempfile", "posix"}
PLUG_INS = ("environments", "launchers", "channels")


class Import(NamedTuple):
    """One import: `name` is the module; `for_types` only under TYPE_CHECKING; `at_top` is paid at start."""

    name: str
    line: int
    for_types: bool
    at_top: bool


def module_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports_of(file: Path) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, for_types: bool, at_top: bool) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                visit(statement, True, at_top)
            for statement in node.orelse:
                visit(statement, for_types, at_top)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(a.name, node.lineno, for_types, at_top) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            found.extend(
                Import(_full(node.module or "", a.name), node.lineno, for_types, at_top) for a in node.names
            )
        inside = at_top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, for_types, inside)

    visit(ast.parse(file.read_bytes()), False, True)
    return found


def _full(module: str, name: str) -> str:
    """`from dobby.core import names` imports a module, `from dobby.core.names import x` a name of one."""
    below = SOURCE / module.replace(".", "/") / name
    is_module = below.with_suffix(".py").exists() or below.is_dir()
    return f"{module}.{name}" if module.startswith("dobby") and is_module else module


def room_of(module: str) -> str:
    """core, agent, views, web, cli, or client: all else that runs on the laptop."""
    parts = module.split(".")[1:]
    if parts[:2] == ["views", "web"]:
        return "web"
    return parts[0] if parts and parts[0] in ("core", "agent", "views", "cli") else "client"


MAY_IMPORT = {
    "core": {"core"},
    "agent": {"core", "agent"},
    "client": {"core", "client"},
    "views": {"core", "views"},
    "web": {"core", "views", "web", "client"},
    "cli": {"core", "client", "views", "web", "cli"},
}


@pytest.fixture(params=FILES, ids=module_of)
def file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_each_room_imports_only_what_lies_below_it(file: Path) -> None:
    room = room_of(module_of(file))
    of_dobby = [i for i in imports_of(file) if i.name.split(".")[0] == "dobby"]
    wrong = [i for i in of_dobby if room_of(i.name) not in MAY_IMPORT[room]]
    # A view may name the type of what it draws; it calls nothing of the client's.
    assert [i for i in wrong if not (room == "views" and i.for_types and room_of(i.name) == "client")] == []


def test_the_standard_library_is_enough(file: Path) -> None:
    """rich alone comes from elsewhere: for the terminal, and imported only once it is needed."""
    foreign = [i for i in imports_of(file) if i.name.split(".")[0] not in STANDARD | {"dobby"}]
    in_views = room_of(module_of(file)) in ("views", "cli")
    assert [i for i in foreign if i.name.split(".")[0] != "rich" or not in_views] == []
    assert [i for i in foreign if i.at_top and not i.for_types] == []


def test_annotations_are_postponed(file: Path) -> None:
    """Records read their fields from annotations as text, on every Python."""
    text = file.read_text()
    nodes = list(ast.walk(ast.parse(text)))
    annotated = [n for n in nodes if isinstance(n, (ast.AnnAssign, ast.arg)) and n.annotation]
    assert not annotated or "\nfrom __future__ import annotations\n" in text


@pytest.mark.parametrize("file", [f for f in SHIPPED if "core" in f.parts], ids=module_of, indirect=True)
def test_core_is_pure(file: Path) -> None:
    impure = [i for i in imports_of(file) if i.name.split(".")[0] in IMPURE and not i.for_types]
    names = [n for n in ast.walk(ast.parse(file.read_bytes())) if isinstance(n, ast.Name)]
    opened = [n.lineno for n in names if n.id == "open"]
    assert (impure, opened) == ([], [])


@pytest.mark.parametrize("file", SHIPPED, ids=module_of, indirect=True)
def test_what_is_shipped_imports_nothing_slow(file: Path) -> None:
    """But where it sends: that is a process of its own, which nobody waits for."""
    sends = file.parent.name == "channels"
    slow = [i for i in imports_of(file) if i.name.split(".")[0] in SLOW and not i.for_types]
    assert [i for i in slow if i.at_top or not sends] == []


def test_a_launch_imports_nothing_that_few_of_them_need() -> None:
    """By whatever way: every launch pays for it, and every run holds it in memory."""
    look = (
        "import sys; sys.path.insert(0, sys.argv[1]); import dobby.agent.main, dobby.agent.verbs.launch, "
        "dobby.agent.supervisor; print(*sorted(set(sys.modules) & set(sys.argv[2:])))"
    )
    rare = {*SLOW, "socket", "selectors", "shutil", "ctypes", "hashlib", "traceback", "tomllib"}
    rare |= {"re", "json", "signal", "functools", "collections", "contextlib", "importlib"}
    argv = [sys.executable, "-I", "-S", "-c", look, str(SOURCE), *sorted(rare)]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split() == []


@pytest.mark.parametrize("file", SHIPPED, ids=module_of, indirect=True)
def test_what_is_shipped_is_grammar_of_the_oldest_python(file: Path) -> None:
    ast.parse(file.read_bytes(), feature_version=(3, 9))


def test_a_plug_in_never_imports_a_sibling() -> None:
    wrong = []
    for package in PLUG_INS:
        for file in (SOURCE / "dobby/agent" / package).glob("[!_]*.py"):
            wrong += [(file.name, i) for i in imports_of(file) if i.name.startswith("dobby.agent")]
    assert not wrong


def test_the_walk_sees_imports_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "import os\nif TYPE_CHECKING:\n    import typing\nelse:\n    import enum\n"
        "def f():\n    try:\n        from dobby.core import names\n"
        "    except ImportError:\n        import rich.table\n"
    )
    assert [tuple(i) for i in imports_of(file)] == [
        ("os", 1, False, True),
        ("typing", 3, True, True),
        ("enum", 5, False, True),
        ("dobby.core.names", 8, False, False),
        ("rich.table", 10, False, False),
    ]
