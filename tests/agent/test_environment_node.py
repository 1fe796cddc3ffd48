"""npm for real, with packages from tarballs; what lies in the checkout and is the job's."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.agent.places import Place
from tests.agent.sandboxes import Lab, make_repo

from dobby.agent import collecting, lodged
from dobby.agent.steps import StepFailed

if TYPE_CHECKING:
    from pathlib import Path

needs_npm = pytest.mark.skipif(
    not (shutil.which("npm") and shutil.which("node")), reason="there is no npm here: apt install npm"
)
SAY = ("node", "-e", "console.log(require('tiny').version)")


class Packages:
    """Tarballs of packages, and a project that depends on one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()

    def pack(self, version: str) -> tuple[str, str]:
        """The tarball of `tiny` at a version, and its integrity as a lock file has it."""
        path = self._directory / f"tiny-{version}.tgz"
        files = {
            "package.json": json.dumps({"name": "tiny", "version": version, "bin": "bin.js"}),
            "index.js": f"exports.version = '{version}';\n",
            "bin.js": f"#!/usr/bin/env node\nconsole.log('{version}')\n",
        }
        with tarfile.open(path, "w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        digest = hashlib.sha512(path.read_bytes()).digest()
        return str(path), f"sha512-{base64.b64encode(digest).decode()}"

    def project(self, version: str, **more: object) -> dict[str, str]:
        path, integrity = self.pack(version)
        package = {"name": "app", "version": "1.0.0", "dependencies": {"tiny": f"file:{path}"}, **more}
        tiny = {
            "version": version,
            "resolved": f"file:{path}",
            "integrity": integrity,
            "bin": {"tiny": "bin.js"},
        }
        lock = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
        lock["packages"] = {"": package, "node_modules/tiny": tiny}
        return {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock)}


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path / "packages")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    variables = {"npm_config_cache": str(tmp_path / "npm"), "npm_config_offline": "true"}
    return Place(tmp_path, tmp_path / "caches", variables)


@needs_npm
def test_npm_installs_what_the_lock_says_once(
    place: Place, packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(packages.project("1.0.0"))
    env = place.prepare()
    assert place.note.startswith("node: dependencies built")
    assert place.say(env, *SAY) == "1.0.0"
    assert place.say(env, "tiny") == "1.0.0"
    inode = (place.sandbox / "node_modules").stat().st_ino

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
        place.write({"other.js": ""})
        assert place.prepare() == env
    assert place.note == "node: unchanged"
    assert (place.sandbox / "node_modules").stat().st_ino == inode  # renamed, never copied
    assert place.say(env, *SAY) == "1.0.0"
    assert not (place.root / "node" / "made").exists()

    place.write(packages.project("2.0.0"))
    assert place.say(place.prepare(), *SAY) == "2.0.0"


@needs_npm
def test_a_script_of_the_projects_own_is_run_for_each_commit(place: Place, packages: Packages) -> None:
    place.write({**packages.project("1.0.0", scripts={"prepare": "cp in.txt out.txt"}), "in.txt": "one"})
    place.prepare()
    place.write({"in.txt": "two"})
    place.prepare()
    assert place.note == "node: project built"
    assert (place.sandbox / "out.txt").read_text() == "two"
    assert place.say(place.prepare(), *SAY) == "1.0.0"
    assert place.note == "node: unchanged"
    assert (place.sandbox / "out.txt").read_text() == "two"


@needs_npm
def test_a_failed_install_leaves_nothing_in_the_checkout(place: Place, packages: Packages) -> None:
    files = packages.project("1.0.0")
    place.write(
        {**files, "package-lock.json": files["package-lock.json"].replace("sha512-", "sha512-AAAA")}
    )
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert raised.value.command.endswith("npm ci")
    place.check_out()
    assert not (place.sandbox / "node_modules").exists()
    place.write(files)
    assert place.say(place.prepare(), *SAY) == "1.0.0"


@needs_npm
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".nvmrc": "4"}, ".nvmrc asks for 4"),
        ({"package.json": {"engines": {"node": ">=900"}}}, "engines in package.json asks for >=900"),
    ],
)
def test_a_node_that_does_not_fit_is_named(
    place: Place, packages: Packages, files: dict[str, object], said: str
) -> None:
    more = files.pop("package.json", {})
    place.write({**packages.project("1.0.0", **more), **files})  # type: ignore[arg-type, dict-item]
    with pytest.raises(StepFailed) as raised:
        place.prepare()
    assert f", and {said}: install that there" in raised.value.tail


@needs_npm
def test_what_is_lodged_is_rebuilt_where_a_job_removed_or_replaced_it(
    place: Place, packages: Packages, tmp_path: Path
) -> None:
    place.write(packages.project("1.0.0"))
    place.prepare()
    shutil.rmtree(place.sandbox / "node_modules")
    (place.sandbox / "node_modules").symlink_to(tmp_path)
    assert place.say(place.prepare(), *SAY) == "1.0.0"
    assert "built" in place.note
    assert (tmp_path / "packages").is_dir()


def test_a_sandbox_is_made_exact_around_them(tmp_path: Path) -> None:
    lab = Lab(tmp_path, make_repo(tmp_path / "laptop", {"a.txt": "a"}))
    lab.run()
    where = f"{lab.job.environment}/node"
    os.makedirs(where)
    put(lab.sandbox / "node_modules/tiny/index.js")
    put(lab.sandbox / "made.txt")
    lodged.record(where, {b"node_modules"})
    assert lab.run() == "moved 1 file to left/"
    lab.assert_exact()
    assert lab.left() == ["made.txt"]
    assert lodged.place(where, str(lab.sandbox))
    assert (lab.sandbox / "node_modules/tiny/index.js").exists()


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_lodged_directories_move_aside_and_back(place: Place) -> None:
    where, box = f"{place.root}/node", place.sandbox
    for path in ("node_modules/a.csv", "lib/one/node_modules/deep/node_modules/b", "lib/two/c.csv"):
        put(box / path)
    found = lodged.find(str(box), ("**/node_modules", ".yarn/cache"))
    assert found == {b"node_modules", b"lib/one/node_modules"}
    place.root.joinpath("node").mkdir(parents=True)
    lodged.record(where, found)
    assert collecting.collect(str(box), ["**/*.csv", "lib", "lib/**/b"], str(box.parent / "out")) != []
    kept = collecting.collect(
        str(box), ["**/*.csv", "lib", "lib/**/b"], str(box.parent / "kept"), lodged.paths(place.job)
    )
    assert kept == ["lib/two/c.csv"]

    lodged.park(place.job)
    assert not (box / "node_modules").exists()
    lodged.park(place.job)  # killed in between: once more
    shutil.rmtree(box / "lib")
    assert lodged.place(where, str(box))
    assert (box / "lib/one/node_modules/deep/node_modules/b").exists()
    lodged.remove(where, str(box))
    assert not (box / "node_modules").exists()
    assert not lodged.place(where, str(box))


def test_what_a_commit_has_where_a_directory_was_lodged_stays(place: Place) -> None:
    where, box = f"{place.root}/node", place.sandbox
    put(box / "node_modules/a")
    place.root.joinpath("node").mkdir(parents=True)
    lodged.record(where, {b"node_modules"})
    lodged.park(place.job)
    put(box / "node_modules/tracked")
    assert not lodged.place(where, str(box))
    assert (box / "node_modules/tracked").exists()
