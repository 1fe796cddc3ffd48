"""The set-up command: when it runs, and with what."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agent.places import QUICK, Place

from dobby.agent.steps import StepFailed


def test_setup_runs_every_time_with_the_environment_active(place: Place) -> None:
    place.write({"requirements.txt": "tiny\n", "sub/x": ""})
    fields: Any = {
        "environment": (QUICK,),
        "dir": "sub",
        "setup": 'python -c "import tiny" && echo "$PWD $A" >>"$HOME/ran"',
        "variables": (("A", "b c"),),
    }
    for count in (1, 2):
        place.prepare(**fields)
        ran = (place.env["HOME"] + "/ran", f"{place.sandbox}/sub b c\n" * count)
        with open(ran[0]) as file:
            assert file.read() == ran[1]
    assert place.notes["setup"] == ""


def test_a_failed_setup_is_said(place: Place) -> None:
    place.write({"a": ""})
    with pytest.raises(StepFailed) as raised:
        place.prepare(setup="echo too bad >&2; exit 3")
    assert (raised.value.step, raised.value.code, raised.value.tail) == ("setup", 3, "too bad")


def test_setup_with_a_key_runs_when_that_changes(place: Place) -> None:
    place.write({"native/a/x.c": "1", "native/y.c": "1", "other": "1"})
    setup = "echo x >>made; echo . >>$HOME/ran"

    def ran() -> int:
        place.prepare(setup=setup, setup_key=("native", "other*"))
        assert (place.sandbox / "made").read_text() == "x\n"
        with open(place.env["HOME"] + "/ran") as file:
            return len(file.read().splitlines())

    assert [ran(), ran()] == [1, 1]
    assert place.notes["setup"] == "unchanged"
    place.write({"unrelated": "2"})
    assert ran() == 1
    place.write({"native/a/x.c": "2"})
    assert ran() == 2
    setup += " "
    assert ran() == 3
    place.write({"requirements.txt": "tiny\n"})
    assert ran() == 4
    setup = "false"
    with pytest.raises(StepFailed):
        ran()
    with pytest.raises(StepFailed):
        ran()
