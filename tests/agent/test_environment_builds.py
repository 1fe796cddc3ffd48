"""With the build backends and lock files that people use: nothing of the project is ever stale.

The backends come from the package index that the machine is set up for."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import UV, Place, needs_uv

if TYPE_CHECKING:
    from pathlib import Path

HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT = '[project]\nname = "app"\nversion = "1"\n[project.scripts]\napp = "app:main"\n'
FETCHED = "def main():\n    import {module}\n    print('{said}', {module}.VALUE)\n"

each_kind = pytest.mark.parametrize("kind", [pytest.param("uv", marks=needs_uv), "pip"])


@pytest.fixture
def place(tmp_path: Path, caches: Path) -> Place:
    return Place(tmp_path, caches)


def lock(place: Place) -> None:
    """Commit a uv.lock of what is committed."""
    place.check_out()
    assert UV
    done = subprocess.run([UV, "lock"], cwd=place.sandbox, env=place.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place.write({"uv.lock": (place.sandbox / "uv.lock").read_text()})


@each_kind
def test_a_module_behind_a_console_script(place: Place, kind: str) -> None:
    """A pure project is a pointer into the checkout: new code needs no step at all."""
    place.write({"pyproject.toml": HATCH + PROJECT, "src/app/__init__.py": "def main(): print('one')\n"})
    assert place.say(place.prepare(environment=(kind,)), "app") == "one"
    place.write({"src/app/__init__.py": "from app.new import main\n"})
    place.write({"src/app/new.py": "def main(): print('two')\n"})
    assert place.say(place.prepare(environment=(kind,)), "app") == "two"
    assert place.note == f"{kind}: unchanged"
    place.write({"pyproject.toml": HATCH + PROJECT.replace("app =", "other =")})
    assert place.say(place.prepare(environment=(kind,)), "other") == "two"
    assert place.note.startswith(f"{kind}: project built")


@pytest.mark.parametrize(
    ("kind", "at"),
    [pytest.param("uv", "", marks=needs_uv), pytest.param("uv", "src/", marks=needs_uv), ("pip", "src/")],
)
def test_a_new_top_level_module_of_a_setuptools_project(place: Place, kind: str, at: str) -> None:
    packages = f'[tool.setuptools.packages.find]\nwhere = ["{at or "."}"]\n'
    one = FETCHED.format(module="app.inner", said="one")
    place.write({"pyproject.toml": SETUPTOOLS + PROJECT + packages, f"{at}app/__init__.py": one})
    place.write({f"{at}app/inner.py": "VALUE = 1\n"})
    assert place.say(place.prepare(environment=(kind,)), "app") == "one 1"
    place.write({f"{at}app/__init__.py": FETCHED.format(module="fresh", said="two")})
    place.write({f"{at}fresh/__init__.py": "VALUE = 2\n"})
    assert place.say(place.prepare(environment=(kind,)), "app") == "two 2"


@needs_uv
def test_setup_py_tells_what_it_needs_by_code(place: Place) -> None:
    """Dependencies from a file that no rule knows of."""
    setup = (
        "from setuptools import setup\n"
        "needs = open('needs').read().split()\n"
        "setup(name='app', version='1', py_modules=['app'], install_requires=needs)\n"
    )
    place.write({"setup.py": setup, "needs": "", "app.py": ""})
    env = place.prepare()
    with pytest.raises(AssertionError, match="No module named 'six'"):
        place.say(env, "python", "-c", "import six")
    place.write({"needs": "six"})
    place.say(place.prepare(), "python", "-c", "import six, app")


@needs_uv
def test_a_version_from_git_is_that_of_the_commit(place: Place) -> None:
    """setuptools_scm's way: the version and a file with it are made by the build."""
    setup = (
        "from setuptools import setup\n"
        "open('app_version.py', 'w').write('V = ' + repr(open('version').read()))\n"
        "setup(name='app', version=open('version').read(), py_modules=['app'])\n"
    )
    show = ("python", "-c", "import app, importlib.metadata as m; print(app.V, m.version('app'))")
    place.write({"setup.py": setup, "version": "1.0", "app.py": "from app_version import V\n"})
    for _ in range(2):
        assert place.say(place.prepare(), *show) == "1.0 1.0"
    place.write({"version": "2.0"})
    for _ in range(2):
        assert place.say(place.prepare(), *show) == "2.0 2.0"
    assert place.note == "uv: unchanged"


@needs_uv
def test_a_lock_with_packages_of_the_checkout(place: Place) -> None:
    """A workspace's member (editable) and a path dependency that is a copy."""
    sources = '[tool.uv.sources]\nmember = { workspace = true }\ncopied = { path = "libs/copied" }\n'
    needs = 'version = "1"\ndependencies = ["member", "copied"]'
    place.write(
        {
            "pyproject.toml": SETUPTOOLS
            + PROJECT.replace('version = "1"', needs)
            + '[tool.uv.workspace]\nmembers = ["member"]\n'
            + sources,
            "src/app/__init__.py": "import member, copied\ndef main(): print(member.V, copied.V)\n",
            "member/pyproject.toml": SETUPTOOLS + '[project]\nname = "member"\nversion = "1"\n',
            "member/member/__init__.py": "V = 1\n",
            "libs/copied/pyproject.toml": SETUPTOOLS + '[project]\nname = "copied"\nversion = "1"\n',
            "libs/copied/copied/__init__.py": "V = 1\n",
        }
    )
    lock(place)
    env = place.prepare()
    assert place.say(env, "app") == "1 1"
    assert env["UV_PROJECT_ENVIRONMENT"] == str(place.root / "uv/venv")
    place.write({"member/member/__init__.py": "V = 2\n"})
    place.write({"libs/copied/copied/__init__.py": "V = 3\n"})
    assert place.say(place.prepare(), "app") == "2 3"
    place.prepare()
    assert place.note == "uv: unchanged"
    assert place.say(env, "uv", "run", "--frozen", "--no-sync", "which", "python") == str(
        place.root / "uv/venv/bin/python"
    )
    # A member by itself, chosen by the run's directory.
    place.prepare(dir="member")
    with pytest.raises(AssertionError, match="No module named 'copied'"):
        place.say(env, "python", "-c", "import member, copied")


@needs_uv
def test_a_changed_lock_moves_only_what_differs(place: Place) -> None:
    pyproject = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = [{}]\n'
    place.write({"pyproject.toml": pyproject.format('"six", "iniconfig"')})
    lock(place)
    env = place.prepare()
    place.say(env, "python", "-c", "import six, iniconfig")
    mark = next((place.root / "uv/venv/lib").glob("*/site-packages/six.py")).stat().st_ino
    place.write({"pyproject.toml": pyproject.format('"six"')})
    lock(place)
    place.prepare()
    with pytest.raises(AssertionError, match="No module named 'iniconfig'"):
        place.say(env, "python", "-c", "import six, iniconfig")
    assert next((place.root / "uv/venv/lib").glob("*/site-packages/six.py")).stat().st_ino == mark
