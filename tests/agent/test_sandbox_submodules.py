"""Submodules in a sandbox: each at its commit, as git itself would lay them out."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, listing, make_repo, module_of, put, send

from dobby.agent.steps import StepFailed
from dobby.core.request import Module

if TYPE_CHECKING:
    from pathlib import Path


class Modules(Lab):
    """`laptop` holds submodule `sub/x` (named "x"), which holds `inner`."""

    def __init__(self, base: Path) -> None:
        self.inner = make_repo(base / "inner", {"i.txt": "i\n"})
        self.x = make_repo(base / "x", {"x.txt": "x\n", "lib/y.txt": "y\n"})
        add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
        git(self.x, *add, str(self.inner), "inner")
        commit(self.x, {})
        super().__init__(base, make_repo(base / "laptop", {"a.txt": "a\n"}))
        git(self.laptop, *add, "--name", "x", str(self.x), "sub/x")
        git(
            self.laptop,
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "-q",
            "update",
            "--init",
            "--recursive",
        )
        commit(self.laptop, {})

    def modules(self) -> tuple[Module, ...]:
        return (
            module_of("sub/x", self.laptop / "sub/x", "x"),
            module_of("sub/x/inner", self.laptop / "sub/x/inner", "x/inner"),
        )

    def go(self, modules: tuple[Module, ...] | None = None, keep: tuple[str, ...] = ()) -> str:
        wanted = self.modules() if modules is None else modules
        for module in wanted:
            cache = self.job.of_project.module_cache(module.name)
            send(self.laptop / module.path, cache, [module.commit])
        return self.run(modules=wanted, keep=keep)

    def advance(self) -> None:
        """A commit further, in the submodule and so in the laptop's repository."""
        commit(self.laptop / "sub/x", {"x.txt": "x2\n", "new.txt": "n\n"})
        commit(self.laptop, {"a.txt": "a2\n"})

    def expected(self, at: str = "") -> list[tuple[str, int, bytes]]:
        return listing(self.laptop)

    def assert_exact(self, at: str = "") -> None:
        super().assert_exact(at)
        wanted = git(self.laptop, "submodule", "status", "--recursive", "--cached")
        found = git(self.sandbox, "submodule", "status", "--recursive")
        assert [line.split()[:2] for line in found.splitlines()] == [
            line.split()[:2] for line in wanted.splitlines()
        ]
        assert not any(line.startswith(("-", "+", "U")) for line in found.splitlines())


@pytest.fixture
def lab(tmp_path: Path) -> Modules:
    return Modules(tmp_path)


def test_each_is_at_its_commit(lab: Modules) -> None:
    assert lab.go() == "new"
    lab.assert_exact()
    assert git(lab.sandbox / "sub/x", "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    assert git(lab.sandbox, "config", "submodule.x.url") == str(lab.laptop / "sub/x")
    assert lab.go() == "unchanged"
    git(lab.sandbox, "-c", "protocol.allow=never", "submodule", "update", "--init", "--recursive")


def test_they_move_with_the_commit(lab: Modules) -> None:
    lab.go()
    lab.advance()
    lab.go()
    lab.assert_exact()
    assert not os.path.exists(lab.job.run("run1").left)


def test_what_a_job_left_inside_moves_to_left(lab: Modules) -> None:
    lab.go()
    put(
        lab.sandbox,
        {
            "sub/x/x.txt": "job's",
            "sub/x/lib/untracked": "u",
            "sub/x/inner/i.txt": "job's",
            "sub/x/inner/more/file": "m",
        },
    )
    lab.advance()
    lab.go()
    lab.assert_exact()
    assert lab.left() == [
        "sub/x/inner/i.txt",
        "sub/x/inner/more/file",
        "sub/x/lib/untracked",
        "sub/x/x.txt",
    ]


def test_keep_reaches_into_submodules(lab: Modules) -> None:
    lab.go()
    put(lab.sandbox, {"sub/x/ck/1": "1", "sub/x/inner/ck": "2", "sub/x/other": "o"})
    lab.advance()
    lab.go(keep=("sub/x/ck", "**/inner/ck"))
    assert lab.left() == ["sub/x/other"]
    assert (lab.sandbox / "sub/x/ck/1").read_text() == "1"
    assert (lab.sandbox / "sub/x/inner/ck").read_text() == "2"


def test_commits_of_the_job_inside_are_kept(lab: Modules) -> None:
    lab.go()
    made = commit(lab.sandbox / "sub/x", {"x.txt": "made"})
    git(lab.sandbox, "add", "sub/x")
    lab.go()
    lab.assert_exact()
    assert git(lab.sandbox / "sub/x", "rev-parse", "refs/dobby/left/run1") == made


def test_a_removed_one_goes_whole(lab: Modules) -> None:
    lab.go()
    put(lab.sandbox, {"sub/x/untracked": "u"})
    git(lab.laptop, "rm", "-q", "sub/x")
    os.rmdir(lab.laptop / "sub")
    commit(lab.laptop, {})
    lab.go(())
    lab.assert_exact()
    assert {"sub/x/untracked", "sub/x/x.txt"} <= set(lab.left())
    assert not os.path.exists(lab.sandbox / ".git/modules/x")
    assert lab.go(()) == "unchanged"


def test_a_renamed_one_moves(lab: Modules) -> None:
    lab.go()
    put(lab.sandbox, {"sub/x/untracked": "u"})
    git(lab.laptop, "mv", "sub/x", "elsewhere")
    os.rmdir(lab.laptop / "sub")
    commit(lab.laptop, {})
    lab.go(
        (
            module_of("elsewhere", lab.laptop / "elsewhere", "x"),
            module_of("elsewhere/inner", lab.laptop / "elsewhere/inner", "x/inner"),
        )
    )
    lab.assert_exact()
    assert "sub/x/untracked" in lab.left()


def test_one_that_is_new(lab: Modules) -> None:
    lab.go()
    put(lab.sandbox, {"late/untracked": "u"})
    late = make_repo(lab.base / "late", {"l.txt": "l\n"})
    git(lab.laptop, "-c", "protocol.file.allow=always", "submodule", "-q", "add", str(late), "late")
    commit(lab.laptop, {})
    lab.go((*lab.modules(), module_of("late", lab.laptop / "late")))
    lab.assert_exact()
    assert lab.left() == ["late/untracked"]


def test_one_that_the_laptop_does_not_have_is_an_empty_directory(lab: Modules) -> None:
    lab.go(())
    assert os.listdir(lab.sandbox / "sub/x") == []
    put(lab.sandbox, {"sub/x/untracked": "u"})
    lab.go(())
    assert os.listdir(lab.sandbox / "sub/x") == []
    assert lab.left() == ["sub/x/untracked"]
    lab.go()
    lab.assert_exact()


@pytest.mark.parametrize("harm", ["gitfile", "gitdir", "symlink", "file", "gone", "index"])
def test_a_damaged_one_is_made_anew(lab: Modules, harm: str, tmp_path: Path) -> None:
    lab.go()
    put(lab.sandbox, {"sub/x/untracked": "u"})
    outside = make_repo(tmp_path / "outside", {"x.txt": "mine\n"})
    before = listing(outside), git(outside, "status", "--porcelain")
    path = lab.sandbox / "sub/x"
    if harm == "gitfile":
        (path / ".git").write_text(f"gitdir: {outside}/.git\n")
    elif harm == "gitdir":
        shutil.rmtree(lab.sandbox / ".git/modules/x")
        os.symlink(outside / ".git", lab.sandbox / ".git/modules/x")
    elif harm == "index":
        (lab.sandbox / ".git/modules/x/index").write_text("nonsense")
    else:
        shutil.rmtree(path)
    if harm == "symlink":
        os.symlink(outside, path)
    elif harm == "file":
        path.write_text("a file")
    lab.advance()
    lab.go()
    lab.assert_exact()
    assert (listing(outside), git(outside, "status", "--porcelain")) == before


def test_filters_and_hooks_inside_do_not_run(lab: Modules, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text(f"#!/bin/sh\necho ran >>{canary}.ran\ncat\n")
    canary.chmod(0o755)
    commit(lab.laptop / "sub/x", {".gitattributes": "* filter=evil\n"})
    commit(lab.laptop, {})
    lab.go()
    git(lab.sandbox / "sub/x", "config", "filter.evil.smudge", str(canary))
    git(lab.sandbox / "sub/x", "config", "filter.evil.clean", str(canary))
    git(lab.sandbox / "sub/x", "config", "core.fsmonitor", str(canary))
    put(lab.sandbox, {"sub/x/x.txt": "job's"})
    lab.advance()
    lab.go()
    lab.assert_exact()
    assert not os.path.exists(f"{canary}.ran")


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.txt", "x"), ("nowhere", "x"), (".git/hooks", "x"), ("sub/x", "a/../b"), ("sub/x", "")],
)
def test_a_module_that_the_commit_does_not_hold_is_refused(lab: Modules, path: str, name: str) -> None:
    lab.go(())
    request = lab.request(modules=(Module(path=path, name=name, url="u", commit="1" * 40),))
    with pytest.raises(StepFailed, match="submodule"):
        lab.prepare(request)


def test_one_sent_at_another_commit_than_is_recorded_fails_the_run(lab: Modules) -> None:
    x = lab.modules()[0]
    other = git(lab.laptop / "sub/x", "rev-parse", "HEAD~1")
    with pytest.raises(
        StepFailed, match=f"submodule sub/x was sent at {other[:10]}, but the commit records"
    ):
        lab.go((x.replace(commit=other),))


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("../x", "https://example.org/x"),
        ("x", "ext::sh -c touch% canary"),
        ("x", "--upload-pack=touch canary"),
        ("x", "ssh://-oProxyCommand=touch/x"),
        ("x", "../../../../../../../../../../../x"),
    ],
)
def test_a_hostile_gitmodules_that_the_host_fetched_is_refused(lab: Modules, name: str, url: str) -> None:
    text = f'[submodule "{name}"]\n\tpath = sub/x\n\turl = "{url}"\n'
    put(lab.laptop, {".gitmodules": text})
    git(lab.laptop, "commit", "-q", "-m", "hostile", ".gitmodules")
    with pytest.raises(StepFailed, match="submodule") as failed:
        lab.run(modules=(), repo=f"file://{lab.laptop}")
    assert "fetched from" not in failed.value.tail
    assert not os.path.exists(lab.job.of_project.root + "/submodules")
