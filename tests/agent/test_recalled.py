"""Plans are recalled for as long as all that they were made from is the same, and no longer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place, needs_uv

from dobby.agent import choosing

if TYPE_CHECKING:
    from pathlib import Path

    from dobby.core.plan import Kind

KIND = """\
from dobby.core.plan import NOT_DECLARED, PREFERRED, Layer, Plan
FAMILY, NEEDS, HINTS = "node", ("{need}",), ()
def detect(tree):
    return PREFERRED if tree.read("{name}.lock") is not None else NOT_DECLARED
def plan(tree, tools):
    key = repr((tree.read("{name}.lock"), tree.names("d"), tree.dir, tools.found))
    layer = Layer(name="all", key=key, steps=(("true",),), cwd=tools.where)
    return Plan(layers=(layer,), variables=(("MADE", "{name}"),))
"""


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which kinds are imported; there are two, `first` and `last`, of one family."""
    from dobby.agent import environments

    (tmp_path / "kinds").mkdir()
    for name, need in (("first", "rare"), ("last", "sh")):
        (tmp_path / "kinds" / f"of_{name}.py").write_text(KIND.format(name=f"of_{name}", need=need))
    monkeypatch.setattr(environments, "__path__", [*environments.__path__, f"{tmp_path}/kinds"])
    monkeypatch.setattr(choosing, "kinds", lambda: ["of_first", "of_last"])
    loaded: list[str] = []
    load = choosing.load

    def noted(name: str) -> Kind:
        loaded.append(name)
        return load(name)

    monkeypatch.setattr(choosing, "load", noted)
    return loaded


def test_while_every_answer_is_the_same_no_kind_is_asked(place: Place, loads: list[str]) -> None:
    place.write({"of_last.lock": "1", "d/a": ""})
    env = place.prepare()
    assert (place.note, env["MADE"]) == ("of_last: all built", "of_last")
    loads.clear()
    place.write({"elsewhere": "another commit"})
    assert place.prepare() == env
    assert (place.note, loads) == ("of_last: unchanged", [])


@pytest.mark.parametrize("change", [{"of_last.lock": "2"}, {"d/b": ""}], ids=["a file", "a name"])
def test_another_answer_is_planned_anew(place: Place, loads: list[str], change: dict[str, str]) -> None:
    place.write({"of_last.lock": "1", "d/a": ""})
    place.prepare()
    place.write(change)
    place.prepare()
    assert place.note == "of_last: all built"


def test_a_program_that_the_host_got_since_changes_the_choice(
    place: Place, loads: list[str], tmp_path: Path
) -> None:
    place.write({"of_first.lock": "", "of_last.lock": ""})
    place.prepare()
    assert place.note == "of_last: all built"
    bin = tmp_path / "bin"
    bin.mkdir()
    place.env["PATH"] = f"{bin}:{place.env['PATH']}"
    place.prepare()
    assert place.note == "of_last: unchanged"
    (bin / "rare").write_text("#!/bin/sh\n")
    (bin / "rare").chmod(0o755)
    place.prepare()
    assert place.note == "of_first: all built"


def test_another_program_of_that_name_is_another_environment(
    place: Place, loads: list[str], tmp_path: Path
) -> None:
    place.write({"of_last.lock": ""})
    place.prepare()
    bin = tmp_path / "bin"
    bin.mkdir()
    os.symlink("/bin/sh", bin / "sh")
    place.env["PATH"] = f"{bin}:{place.env['PATH']}"
    place.prepare()
    assert place.note == "of_last: all built"
    loads.clear()
    place.prepare()
    assert (place.note, loads) == ("of_last: unchanged", [])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"of": 1}'])
def test_a_damaged_note_is_no_note(place: Place, loads: list[str], data: bytes) -> None:
    place.write({"of_last.lock": ""})
    place.prepare()
    whole = (place.root / "plans.json").read_bytes()
    (place.root / "plans.json").write_bytes(data)
    place.prepare()
    assert place.note == "of_last: unchanged"
    assert (place.root / "plans.json").read_bytes() == whole


@needs_uv
def test_a_rerun_imports_no_kind_of_ours(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(name: str) -> None:
        raise AssertionError(f"{name} was imported")

    place.write({"requirements.txt": "tiny==1\n"})
    env = place.prepare()
    monkeypatch.setattr(choosing, "load", never)
    assert place.prepare() == env
    assert place.note == "uv: unchanged"
