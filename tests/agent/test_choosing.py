"""Which environments a run gets: by stand-ins for kinds, and by the real ones together."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from tests.agent.places import QUICK, Place, needs_uv
from tests.core.plans import DictTree

from dobby.agent import choosing, environments
from dobby.agent.steps import StepFailed
from dobby.core.errors import UsageError
from dobby.core.plan import LOCKED, NOT_DECLARED, POSSIBLE, PREFERRED

if TYPE_CHECKING:
    from pathlib import Path

    from dobby.agent.survey import Checkout
    from dobby.core.plan import Kind

KINDS = {
    # family, needs, rank where its file lies
    "uv": ("python", ("uv",), LOCKED, "uv.lock"),
    "fast": ("python", ("fast",), PREFERRED, "project"),
    "slow": ("python", ("sh",), POSSIBLE, "project"),
    "renv": ("r", ("absent",), LOCKED, "renv.lock"),
    "npm": ("node", ("absent|sh",), LOCKED, "npm.lock"),
    "plain": ("node", ("sh",), POSSIBLE, "package.json"),
}


def stand_ins() -> dict[str, Kind]:
    def kind(family: str, needs: tuple[str, ...], rank: int, file: str) -> Kind:
        def detect(tree: DictTree) -> int:
            return rank if tree.read(file) is not None else NOT_DECLARED

        return cast("Kind", SimpleNamespace(FAMILY=family, NEEDS=needs, detect=detect))

    return {name: kind(*fields) for name, fields in KINDS.items()}


@pytest.mark.parametrize(
    ("files", "chosen", "left_out"),
    [
        ("", [], []),
        ("other", [], []),
        ("project", ["slow"], []),
        ("uv.lock project", ["uv"], []),
        ("npm.lock", ["npm"], []),
        ("package.json", ["plain"], []),
        ("package.json project", ["slow"], []),
        ("npm.lock project", ["slow", "npm"], []),
        ("npm.lock package.json project", ["slow", "npm"], []),
        ("npm.lock project uv.lock", ["uv", "npm"], []),
        ("renv.lock", ["renv"], []),
        ("renv.lock project", ["slow"], ["renv is left out: the host has no absent in PATH"]),
        ("renv.lock npm.lock", ["npm"], ["renv is left out: the host has no absent in PATH"]),
        ("sub/project npm.lock", ["slow"], []),
        ("sub/npm.lock project", ["npm"], []),
    ],
)
def test_auto_takes_the_best_of_each_family(files: str, chosen: list[str], left_out: list[str]) -> None:
    listed = dict.fromkeys(files.split(), "")
    trees = cast("list[Checkout]", [DictTree(listed, dir) for dir in ("sub", "")])
    found, said = choosing.auto(trees, {"PATH": "/usr/bin:/bin"}, stand_ins())
    assert ([name for name, _, _ in found], said) == (chosen, left_out)


def test_the_known_kinds() -> None:
    assert {"none", "pip", "uv"} <= set(choosing.kinds())
    choosing.check_kind("auto")
    with pytest.raises(UsageError) as raised:
        choosing.check_kind("conad")
    assert raised.value.hint == f"one of {', '.join(['auto', *choosing.kinds()])}"


def test_every_kind_names_its_family() -> None:
    families = {"python", "r", "node", "container", "none"}
    assert {choosing.load(name).FAMILY for name in choosing.kinds()} <= families


STAND_IN = """\
from dobby.core.plan import NOT_DECLARED, Layer, Plan
FAMILY, NEEDS, HINTS = "node", (), ()
def detect(tree):
    return 3 if tree.read("stand-in.lock") is not None else NOT_DECLARED
def plan(tree, tools):
    step = ("sh", "-c", "command -v python >seen")
    layer = Layer(name="all", key=tree.read("stand-in.lock") or "", steps=(step,), cwd=tools.where)
    return Plan(layers=(layer,), path=(f"{tools.where}/bin",), variables=(("BESIDE", "yes"),))
"""


@needs_uv
def test_several_together_the_later_built_with_the_earlier_active(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "beside.py").write_text(STAND_IN)
    known = choosing.kinds()
    monkeypatch.setattr(environments, "__path__", [*environments.__path__, f"{tmp_path}/kinds"])
    monkeypatch.setattr(choosing, "kinds", lambda: sorted([*known, "beside"]))
    try:
        place.write({"requirements.txt": "tiny\n", "stand-in.lock": "1"})
        env = place.prepare()
        assert place.note.startswith("uv: dependencies built, 1 package; beside: all built")
        assert (place.root / "beside/seen").read_text().strip() == f"{place.root}/uv/venv/bin/python"
        assert env["PATH"].startswith(f"{place.root}/beside/bin:{place.root}/uv/venv/bin:")
        assert (env["BESIDE"], env["VIRTUAL_ENV"]) == ("yes", f"{place.root}/uv/venv")
        assert place.prepare() == env
        assert place.note == "uv: unchanged; beside: unchanged"
        place.prepare(environment=("beside", "uv", "auto"))
        assert place.note == "beside: unchanged; uv: unchanged"
    finally:
        sys.modules.pop("dobby.agent.environments.beside", None)


def test_of_those_named_each_must_succeed(place: Place) -> None:
    place.write({"requirements.txt": "tiny==3\n"})
    with pytest.raises(StepFailed, match=r"tiny==3"):
        place.prepare(environment=("none", QUICK))


@pytest.mark.parametrize(
    ("files", "first"),
    [
        ("uv.lock poetry.lock Pipfile.lock", "uv"),
        ("poetry.lock Pipfile.lock requirements.txt", "poetry"),
        ("Pipfile.lock requirements.txt", "pipenv"),
    ],
)
def test_of_several_locks_the_newest_tools(files: str, first: str) -> None:
    trees = cast("list[Checkout]", [DictTree(dict.fromkeys(files.split(), ""))])
    loaded = {name: choosing.load(name) for name in choosing.kinds()}
    assert choosing.auto(trees, {"PATH": "/nonexistent"}, loaded)[0][0][0] == first
