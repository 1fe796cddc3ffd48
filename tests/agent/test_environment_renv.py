"""R for real, with a local repository. renv itself is a stand-in package of a few lines there, which
installs what the lock file names: what is shown is how dobby gets it, calls it and isolates R."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place

from dobby.agent.steps import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not shutil.which("Rscript"), reason="there is no Rscript here: apt install r-base-core"
)

RENV = """
restore <- function(project, library, lockfile, clean, prompt) {
  stopifnot(clean, !prompt, Sys.getenv("RENV_CONFIG_AUTOLOADER_ENABLED") == "FALSE")
  named <- regmatches(text <- readLines(lockfile), regexpr('"Package": "[a-z]+"', text))
  repository <- sub('.*"URL": "([^"]+)".*', "\\\\1", grep("URL", text, value = TRUE))
  wanted <- gsub('"Package": |"', "", named)
  install.packages(wanted, lib = library, repos = repository, type = "source")
  utils::remove.packages(setdiff(list.files(library), wanted), lib = library)
}
"""


def make_repository(top: Path, packages: dict[str, str]) -> str:
    """A CRAN-like one of source packages, {name: R code}; its URL."""
    folder = top / "src" / "contrib"
    folder.mkdir(parents=True)
    index = []
    for name, code in packages.items():
        about = f"Package: {name}\nVersion: 1.0\n"
        more = "Title: T\nDescription: D.\nLicense: GPL-3\nAuthor: A\nMaintainer: A <a@example.org>\n"
        exported = "restore" if name == "renv" else "say"
        files = {"DESCRIPTION": about + more, "NAMESPACE": f"export({exported})\n", "R/code.R": code}
        with tarfile.open(folder / f"{name}_1.0.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}/{path}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        index.append(about)
    (folder / "PACKAGES").write_text("\n".join(index))
    return f"file://{top}"


def lock(repository: str, *names: str) -> str:
    packages = {name: {"Package": name, "Version": "1.0"} for name in names}
    top = {"R": {"Repositories": [{"Name": "LOCAL", "URL": repository}]}, "Packages": packages}
    return json.dumps(top, indent=1) + "\n"


def test_the_lock_file_is_restored_into_the_jobs_own_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = "say <- function() 'one'\n"
    url = make_repository(tmp_path / "repository", {"renv": RENV, "tiny": say, "other": say})
    place = Place(tmp_path, tmp_path / "caches", {"R_LIBS": "/nonexistent", "HOME": str(tmp_path)})
    autoloader = "if (Sys.getenv('RENV_CONFIG_AUTOLOADER_ENABLED') != 'FALSE') stop('it was sourced')\n"
    place.write({"renv.lock": lock(url, "tiny"), "renv/activate.R": autoloader})
    place.write({".Rprofile": 'source("renv/activate.R")\n'})
    env = place.prepare()
    assert place.note == "renv: dependencies built"
    assert place.say(env, "Rscript", "-e", "cat(tiny::say())") == "one"
    library = place.root / "renv" / "library"
    paths = place.say(env, "Rscript", "-e", "cat(.libPaths())").split()
    assert paths[0] == str(library)
    # The account's own, and Debian's of packages from apt, are out of sight.
    assert not [
        path for path in paths[1:] if path.startswith(str(tmp_path)) or path == "/usr/lib/R/site-library"
    ]

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
        place.write({"a.R": ""})
        assert place.prepare() == env

    place.write({"renv.lock": lock(url, "other")})
    place.prepare()
    assert sorted(path.name for path in library.iterdir()) == ["other"]
    assert place.log.read_text().count("* DONE (renv)") == 1  # there already


def test_a_repository_without_renv_is_said(tmp_path: Path) -> None:
    url = make_repository(tmp_path / "repository", {})
    place = Place(tmp_path, tmp_path / "caches", {"HOME": str(tmp_path)})
    place.write({"renv.lock": lock(url, "tiny")})
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert raised.value.tail.startswith("[dobby] the host has no renv, and R could not install it")
