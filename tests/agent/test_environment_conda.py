"""conda by a stand-in that records its argv and activates as conda does: channels are not
reachable from tests. The hook's mechanism, which pixi and micromamba share, is real."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place

from dobby.agent import environment, hooks
from dobby.agent.steps import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

# What `conda shell.posix activate PREFIX` (conda 24) prints, but for the names of its own install.
CONDA = r"""#!/bin/bash
echo "$*" >> {asked}
case "$1" in
env) [ -e "$4" ] && {{ echo "CondaValueError: prefix already exists: $4" >&2; exit 1; }}
     grep -q nonsense "$6" && {{ echo "PackagesNotFoundError: nonsense" >&2; exit 1; }}
     mkdir -p "$4/conda-meta" "$4/bin" "$4/etc/conda/activate.d"
     touch "$4/conda-meta/history"
     printf '#!/bin/sh\necho "python of $CONDA_PREFIX with $GDAL_DATA"\n' > "$4/bin/python"
     chmod +x "$4/bin/python"
     echo 'echo activating; export GDAL_DATA="$CONDA_PREFIX/share/gdal"; unset HINDERING' \
       > "$4/etc/conda/activate.d/gdal.sh" ;;
shell.posix)
     printf "PS1='(%s) '\nexport PATH='%s/bin:%s'\nexport CONDA_PREFIX='%s'\nexport CONDA_SHLVL='1'\n" \
       "$3" "$3" "$PATH" "$3"
     printf '. "%s/etc/conda/activate.d/gdal.sh"\n' "$3" ;;
esac
"""
FILE = "dependencies:\n- python\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "miniforge3/bin").mkdir(parents=True)
    place = Place(tmp_path, tmp_path / "caches", {"HOME": str(tmp_path), "HINDERING": "yes"})
    (tmp_path / "bin").mkdir()
    for name in ("bash", "env", "sh", "mkdir", "grep", "touch", "chmod"):
        found = next(p for p in (f"/bin/{name}", f"/usr/bin/{name}") if os.path.exists(p))
        (tmp_path / "bin" / name).symlink_to(found)
    place.env["PATH"] = str(tmp_path / "bin")  # whatever conda this machine has is not in it
    conda = tmp_path / "miniforge3/bin/conda"  # in no PATH: nobody has run `conda init`
    conda.write_text(CONDA.format(asked=tmp_path / "asked"))
    conda.chmod(0o755)
    return place


def asked(place: Place) -> list[str]:
    file = place.log.parent / "asked"
    return file.read_text().splitlines() if file.exists() else []


def test_an_environment_is_made_once_and_active_with_its_own_scripts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write({"environment.yml": FILE, "requirements.txt": "goes second\n"})
    env = place.prepare()
    prefix = f"{place.root}/conda/prefix"
    assert place.note == "conda: dependencies built"
    assert asked(place) == [f"env create -p {prefix} -f environment.yml", f"shell.posix activate {prefix}"]
    assert place.say(env, "python") == f"python of {prefix} with {prefix}/share/gdal"
    assert {"HINDERING", "PS1", "SHLVL"}.isdisjoint(env)
    assert "activating" in place.log.read_text()
    assert environment.activated(place.job, place.env) == env

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
        place.write({"a.py": ""})
        assert place.prepare() == env
    assert place.note == "conda: unchanged"


def test_a_changed_file_makes_it_anew_and_a_failure_is_never_reused(place: Place) -> None:
    place.write({"environment.yml": FILE})
    place.prepare()
    (place.root / "conda/prefix/bin/stale").touch()
    place.write({"environment.yml": f"{FILE}- nonsense\n"})
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert raised.value.tail == "PackagesNotFoundError: nonsense"
    place.write({"environment.yml": FILE})
    env = place.prepare()
    assert place.note == "conda: dependencies built"
    assert place.say(env, "python").startswith("python of ")
    assert not (place.root / "conda/prefix/bin/stale").exists()


def test_activation_is_asked_for_again_where_what_it_changed_was_other_before(place: Place) -> None:
    place.write({"environment.yml": FILE})
    place.prepare()
    place.env["OTHER"] = "is nothing to it"
    place.prepare()
    assert len(asked(place)) == 2
    del place.env["HINDERING"]
    place.prepare()
    assert place.note == "conda: unchanged"
    assert [line.split()[0] for line in asked(place)] == ["env", "shell.posix", "shell.posix"]


def test_an_activation_that_fails_is_said(place: Place, tmp_path: Path) -> None:
    place.write({"environment.yml": FILE})
    conda = tmp_path / "miniforge3/bin/conda"
    conda.write_text(
        conda.read_text().replace("shell.posix)", "shell.posix) echo broken >&2; exit 3 ;;\nx)")
    )
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert (raised.value.code, raised.value.tail) == (3, "broken")
    assert raised.value.command.endswith(f"shell.posix activate {place.root}/conda/prefix")


def test_what_a_hook_has_changed() -> None:
    before = {"PATH": "/bin", "A": "1", "B": "2", "SHLVL": "1"}
    after = {"PATH": "/x:/y:/bin", "A": "1", "C": "3", "PS1": "$"}
    assert hooks.difference(before, after) == {
        "path": ["/x", "/y"],
        "variables": {"C": "3"},
        "unset": ["B"],
        "before": {"C": None, "B": "2"},
    }
    moved = hooks.difference(before, {**before, "PATH": "/x:/other"})
    assert (moved["path"], moved["variables"], moved["before"]) == (
        [],
        {"PATH": "/x:/other"},
        {"PATH": "/bin"},
    )
    assert hooks.difference(before, before)["path"] == []
