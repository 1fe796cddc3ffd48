"""A job with a checkout, as `environment.prepare` finds it: real files, real uv and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dobby.agent import environment, lodged
from dobby.agent.steps import Steps
from dobby.core import layout
from dobby.core.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

UV = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
# For what does not depend on the kind: pip takes seconds to make a venv.
QUICK = "uv" if UV else "pip"
needs_uv = pytest.mark.skipif(UV is None, reason="there is no uv here: pip install uv")

# A build backend that needs nothing from anywhere. It writes a file into the checkout, as
# those do that make a version from git, and builds what `app.py` says of itself.
BACKEND = """
import os, zipfile

def _wheel(directory, files):
    name = "app-1-py3-none-any.whl"
    info = "app-1.dist-info"
    files = {
        **files,
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: app\\nVersion: 1\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\napp = app:main\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name

def build_wheel(directory, config_settings=None, metadata_directory=None):
    return _wheel(directory, {"app.py": open("app.py").read()})

def build_editable(directory, config_settings=None, metadata_directory=None):
    with open("app_version.py", "w") as file:
        file.write("MADE = 'by the build'\\n")
    return _wheel(directory, {"app.pth": os.getcwd()})
"""

APP = {
    "pyproject.toml": """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "app"
version = "1"
[project.scripts]
app = "app:main"
""",
    "backend.py": BACKEND,
    "app.py": "def main():\n    print('one')\n",
}


class Place:
    """One job. `notes` are the notes of the last preparation, by phase; `failed` is the last
    StepFailed's text where `prepare` was expected to fail."""

    def __init__(self, tmp_path: Path, caches: Path, variables: Mapping[str, str] = {}) -> None:
        self.job = layout.Job(home=str(tmp_path / "home"), project="p", label="l")
        self.sandbox = Path(self.job.sandbox)
        self.sandbox.mkdir(parents=True)
        self.root = Path(self.job.environment)
        self.log = tmp_path / "log"
        self.files: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.commit = 0
        self.env = {
            **{k: v for k, v in os.environ.items() if k.startswith(("SSL_", "PIP_", "HOME"))},
            "PATH": f"{Path(UV).parent if UV else '/nonexistent'}:{os.environ['PATH']}",
            "UV_CACHE_DIR": str(caches / "uv"),
            "PIP_CACHE_DIR": str(caches / "pip"),
            "DOBBY_RUN_ID": "r",
            **variables,
        }

    def write(self, files: Mapping[str, str | None]) -> None:
        """Commit `files` (None removes): what a preparation from now on finds checked out."""
        self.files = {k: v for k, v in {**self.files, **files}.items() if v is not None}
        self.commit += 1

    def check_out(self) -> None:
        """The sandbox as it is before a run: what is committed, and nothing else. As git does,
        leaves alone what is as it should be."""
        lodged.park(self.job)
        for path in sorted(self.sandbox.rglob("*"), reverse=True):
            name = str(path.relative_to(self.sandbox))
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name not in self.files or path.read_text() != self.files[name]:
                path.unlink()
        for name, text in self.files.items():
            path = self.sandbox / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text)

    def request(self, **fields: Any) -> Request:
        return Request(
            run_id="r",
            project="p",
            label="l",
            host="local",
            commit=f"{self.commit:040x}",
            command="true",
            revision="main",
            **fields,
        )

    def prepare(self, values: Mapping[str, str] = {}, **fields: Any) -> dict[str, str]:
        self.check_out()
        self.notes = {}
        log_fd = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            steps = Steps(self.env, log_fd, lambda name, took, note: self.notes.update({name: note}))
            return environment.prepare(self.job.run("r"), self.request(**fields), steps, {}, values)
        finally:
            os.close(log_fd)

    @property
    def note(self) -> str:
        return self.notes["environment"]

    def say(self, env: Mapping[str, str], *argv: str) -> str:
        """What a command of the job prints, in its sandbox."""
        done = subprocess.run(
            ["/usr/bin/env", *argv], cwd=self.sandbox, env=dict(env), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}\n{self.log.read_text()}"
        return done.stdout.strip()


def make_wheel(directory: Path, name: str, version: str) -> Path:
    """A wheel with one module, whose VERSION is `version`."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{p},,\n" for p in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def offline(tmp_path: Path, caches: Path) -> Place:
    """A job whose host, as its settings say, reaches no index but a directory with `tiny` 1 and 2."""
    wheels = tmp_path / "wheels"
    for version in ("1", "2"):
        make_wheel(wheels, "tiny", version)
    of_pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    of_uv = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    return Place(tmp_path, caches, {**of_pip, **of_uv})
