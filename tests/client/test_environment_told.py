"""An environment that fails, by each real tool, over a whole run: what the notice says. The host's
`[variables]` reach each: without them some would ask an index."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import UV
from tests.client import hook as hooks
from tests.client.drive import launch
from tests.client.hook import configure

from dobby import Client
from dobby.core import wording

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

PYPROJECT = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["tiny==3"]\n'
POETRY_LOCK = (
    'package = []\n[metadata]\nlock-version = "2.0"\npython-versions = ">=3.9"\ncontent-hash = "0"\n'
)
PIPFILE_LOCK = {"_meta": {"hash": {"sha256": "0"}, "pipfile-spec": 6, "requires": {}, "sources": []}}
PACKAGE = {"name": "x", "version": "1.0.0"}
INSTALLERS = f"{sys.prefix}/installers/bin"  # scripts/venv.sh
OFFLINE = {
    "UV_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
    "PIP_RETRIES": "0",
    "npm_config_offline": "true",
    "PATH": f"{os.path.dirname(UV or '/')}:{os.environ['PATH']}:{INSTALLERS}",
}

FAILING = {
    "uv": (
        {"pyproject.toml": PYPROJECT, "uv.lock": "version = 99\n"},
        "environment failed: uv sync --frozen",
        "uv.lock",
    ),
    "pip": (
        {"requirements.txt": "tiny==3\n"},
        "environment failed: pip install",
        "Could not find a version that satisfies the requirement tiny==3",
    ),
    "poetry": (
        {"pyproject.toml": PYPROJECT, "poetry.lock": POETRY_LOCK},
        "environment failed: poetry install",
        "poetry.lock",
    ),
    "pipenv": (
        {
            "Pipfile": '[packages]\ntiny = "*"\n',
            "Pipfile.lock": json.dumps({**PIPFILE_LOCK, "default": {}, "develop": {}}),
        },
        "environment failed: pipenv install",
        "out of date",
    ),
    "node": (
        {
            "package.json": json.dumps({**PACKAGE, "dependencies": {"tiny": "1"}}),
            "package-lock.json": json.dumps({**PACKAGE, "lockfileVersion": 3, "packages": {"": PACKAGE}}),
        },
        "environment failed: npm ci",
        "cache mode is 'only-if-cached'",
    ),
    "renv": (
        {
            "renv.lock": json.dumps(
                {"R": {"Repositories": [{"Name": "L", "URL": "file:///nowhere"}]}, "Packages": {}}
            )
        },
        "environment failed: Rscript",
        ": the host has no renv, and R could not install it",
    ),
}
PROGRAMS = {"node": "npm", "renv": "Rscript", "pip": "python3"}
CASES = [("local", kind) for kind in FAILING] + [("ssh", "node")]


@pytest.mark.parametrize(("host", "kind"), CASES, indirect=["host"])
def test_a_failed_environment_is_told_by_its_tools_words(repo: Repo, host: Host, kind: str) -> None:
    program = PROGRAMS.get(kind, kind)
    if not shutil.which(program, path=OFFLINE["PATH"]):
        pytest.skip(f"there is no {program} here: install it")
    files, command, words = FAILING[kind]
    for name, text in files.items():
        Path(repo.path, name).write_text(text)
    with hooks.serve() as hook:
        pairs = "".join(f"{name} = {json.dumps(value)}\n" for name, value in OFFLINE.items())
        configure(host, f"[variables]\n{pairs}{hooks.table('team', hook)}")
        client = Client(cwd=repo.path)
        run = launch(client, host, "true", revision=".", label=kind, environment=(kind,))
        said = wording.whole_cause(hook.wait("failed", timeout=60)["run"]["cause"])
        assert said.startswith(command)
        assert words in said
        assert client.wait(run.label, host=host.name)["cause"]["step"] == "environment"
