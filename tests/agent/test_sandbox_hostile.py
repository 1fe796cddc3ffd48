"""A job may have done anything to its sandbox: nothing of it runs, or leads us outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import Lab, commit, git, listing, make_repo, put, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    files: dict[str, str | bytes | None] = {"a.txt": "a\n", "dir/b.txt": "b\n", "dir/deep/c.txt": "c\n"}
    return Lab(tmp_path, make_repo(tmp_path / "laptop", files))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that tells of having been run, by making `canary.ran`."""
    program = tmp_path / "canary"
    program.write_text(f"#!/bin/sh\necho $0 $* >>{program}.ran\ncat\n")
    program.chmod(0o755)
    return program


def ran(canary: Path) -> str:
    said = canary.parent / "canary.ran"
    return said.read_text() if said.exists() else ""


def test_filters_hooks_and_monitors_of_the_account_do_not_run(
    lab: Lab, canary: Path, isolated: Path, tmp_path: Path
) -> None:
    old = commit(lab.laptop, {".gitattributes": "*.txt filter=evil\n"})
    new = commit(lab.laptop, {"dir/b.txt": "b2\n"})
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        os.symlink(canary, hooks / hook)
    attributes = isolated / ".config/git/attributes"
    attributes.parent.mkdir(parents=True)
    send(lab.laptop, lab.cache, [new])

    settings = {f"filter.evil.{kind}": str(canary) for kind in ("smudge", "clean", "process")}
    settings |= {"core.fsmonitor": str(canary), "core.hooksPath": str(hooks), "core.autocrlf": "true"}
    for key, value in settings.items():
        git(tmp_path, "config", "--global", key, value)
    attributes.write_text("*.txt eol=crlf\n")
    lab.run(old)
    put(lab.sandbox, {"a.txt": "changed\n", "untracked.txt": "u"})
    lab.run(new)
    assert ran(canary) == ""
    assert (lab.sandbox / "a.txt").read_bytes() == b"a\n"
    git(lab.sandbox, "status", check=False)
    assert ran(canary) != "", "the canary is dead: this test proves nothing"


def test_what_a_job_put_into_its_git_directory_does_not_run(lab: Lab, canary: Path) -> None:
    commit(lab.laptop, {".gitattributes": "dir/** filter=evil\n"})
    lab.run()
    for key in ("filter.evil.smudge", "filter.evil.clean", "core.fsmonitor", "filter.info.smudge"):
        git(lab.sandbox, "config", key, str(canary))
    git(lab.sandbox, "config", "filter.info.clean", str(canary))
    git(lab.sandbox, "config", "core.hooksPath", ".git/hooks")
    os.makedirs(lab.sandbox / ".git/hooks")
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        os.symlink(canary, lab.sandbox / ".git/hooks" / hook)
    put(lab.sandbox, {".git/info/attributes": "* filter=info\n", "dir/b.txt": "changed\n"})
    commit(lab.laptop, {"dir/b.txt": "b2\n", "a.txt": "a2\n"})
    git(lab.sandbox, "status", check=False)
    assert ran(canary) != "", "the canary is dead: this test proves nothing"
    (canary.parent / "canary.ran").unlink()
    lab.run()
    assert ran(canary) == ""
    lab.assert_exact()
    assert ran(canary) == ""
    assert not (lab.sandbox / ".git/hooks").exists()
    assert os.path.exists(lab.job.run("run1").left + "/.git/info/attributes")


@pytest.mark.parametrize("how", ["commondir", "config.worktree", "include"])
def test_settings_that_lie_elsewhere_are_not_read(lab: Lab, canary: Path, tmp_path: Path, how: str) -> None:
    commit(lab.laptop, {".gitattributes": "* filter=evil\n"})
    lab.run()
    other = make_repo(tmp_path / "other", {"x": "x"})
    evil = (
        f'[filter "evil"]\n\tsmudge = {canary}\n\tclean = {canary}\n[extensions]\n\tworktreeConfig = true\n'
    )
    with open(other / ".git/config", "a") as config:
        config.write(evil)
    if how == "commondir":
        put(lab.sandbox, {".git/commondir": f"{other}/.git\n"})
    elif how == "include":
        git(lab.sandbox, "config", "include.path", f"{other}/.git/config")
    else:
        git(lab.sandbox, "config", "extensions.worktreeConfig", "true")
        put(lab.sandbox, {".git/config.worktree": evil})
    put(lab.sandbox, {"a.txt": "changed\n"})
    lab.run()
    assert ran(canary) == ""
    lab.assert_exact()


def test_line_ends_written_under_a_jobs_settings_are_found(lab: Lab) -> None:
    lab.run()
    git(lab.sandbox, "config", "core.autocrlf", "true")
    os.unlink(lab.sandbox / "a.txt")
    git(lab.sandbox, "checkout", "-q", "a.txt")
    assert (lab.sandbox / "a.txt").read_bytes() == b"a\r\n"
    lab.run()
    lab.assert_exact()


# --- symlinks ---


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that looks like the sandbox's, and must stay as it is."""
    directory = tmp_path / "outside"
    put(directory, {"b.txt": "mine\n", "deep/c.txt": "mine\n", "HEAD": "mine\n", "main": "mine\n"})
    return directory


@pytest.mark.parametrize(
    "where",
    ["dir", "dir/deep", ".git/refs", ".git/refs/heads", ".git/objects", ".git/objects/info", ".git"],
)
@pytest.mark.parametrize("moves", [False, True])
def test_a_directory_replaced_by_a_symlink(lab: Lab, outside: Path, where: str, moves: bool) -> None:
    lab.run()
    before = listing(outside)
    shutil.rmtree(lab.sandbox / where)
    os.symlink(outside, lab.sandbox / where)
    if moves:
        commit(lab.laptop, {"dir/b.txt": "b2\n", "dir/deep/c.txt": None, "dir/new": "new"})
    lab.run(keep=("dir/**/x",))
    lab.assert_exact()
    assert listing(outside) == before


@pytest.mark.parametrize("moves", [False, True])
def test_a_directory_replaced_by_a_symlink_to_itself(lab: Lab, moves: bool) -> None:
    """git only complains of the files behind it, and leaves them out of what differs."""
    lab.run()
    shutil.rmtree(lab.sandbox / "dir")
    os.symlink("dir", lab.sandbox / "dir")
    if moves:
        commit(lab.laptop, {"a.txt": "other\n"})
    lab.run()
    lab.assert_exact()


@pytest.mark.parametrize("where", ["index", "HEAD", "config", "packed-refs", "refs/heads/main", "dobby"])
def test_a_file_of_git_replaced_by_a_symlink(lab: Lab, outside: Path, where: str) -> None:
    lab.run()
    (lab.sandbox / ".git" / where).unlink(missing_ok=True)
    os.symlink(outside / "HEAD", lab.sandbox / ".git" / where)
    commit(lab.laptop, {"dir/b.txt": "b2\n"})
    lab.run()
    lab.assert_exact()
    assert (outside / "HEAD").read_text() == "mine\n"
    git(lab.sandbox, "update-ref", "refs/heads/other", "HEAD")


def test_the_sandbox_itself_replaced_by_a_symlink(lab: Lab, outside: Path) -> None:
    lab.run()
    before = listing(outside)
    shutil.rmtree(lab.sandbox)
    os.symlink(outside, lab.sandbox)
    assert lab.run(keep=("**",)).startswith("made anew")
    lab.assert_exact()
    assert listing(outside) == before


def test_left_holds_a_symlink_that_a_later_path_would_go_through(lab: Lab, outside: Path) -> None:
    """The same left/ is used twice when a preparation fails: a symlink there is not followed."""
    lab.run()
    os.makedirs(lab.job.run("run1").left)
    os.symlink(outside, lab.job.run("run1").left + "/dir")
    put(lab.sandbox, {"dir/b.txt": "job's"})
    before = listing(outside)
    lab.run()
    lab.assert_exact()
    assert listing(outside) == before
    assert "dir~1/b.txt" in lab.left()


# --- what no git can read ---


def _no_git(top: Path) -> None:
    shutil.rmtree(top / ".git")


def _other_git(top: Path) -> None:
    shutil.rmtree(top / ".git")
    git(top, "init", "-q")


def _bad_index(top: Path) -> None:
    (top / ".git/index").write_bytes(b"DIRC nonsense")


def _no_head(top: Path) -> None:
    (top / ".git/HEAD").unlink()


def _no_refs(top: Path) -> None:
    shutil.rmtree(top / ".git/refs")


def _head_of_nothing(top: Path) -> None:
    (top / ".git/HEAD").write_text("ref: refs/heads/nothing\n")


def _bad_head(top: Path) -> None:
    (top / ".git/refs/heads/main").write_text("1" * 40 + "\n")


def _bad_packs(top: Path) -> None:
    (top / ".git/objects/info/alternates").write_text("/nowhere\n")
    (top / ".git/packed-refs").write_text("nonsense\n" + "2" * 40 + " refs/heads/../../evil\n")


def _note_is_a_loop(top: Path) -> None:
    (top / ".git/dobby").unlink()
    (top / ".git/dobby").symlink_to("dobby")


def _note_is_a_directory(top: Path) -> None:
    (top / ".git/dobby").unlink()
    (top / ".git/dobby").mkdir()


def _note_is_a_fifo(top: Path) -> None:
    (top / ".git/dobby").unlink()
    os.mkfifo(top / ".git/dobby")


@pytest.mark.parametrize(
    "harm",
    [
        *(_no_git, _other_git, _bad_index, _no_head, _no_refs, _head_of_nothing, _bad_head, _bad_packs),
        *(_note_is_a_loop, _note_is_a_directory, _note_is_a_fifo),
    ],
)
def test_a_damaged_repository(lab: Lab, harm: Callable[[Path], None]) -> None:
    lab.run()
    put(lab.sandbox, {"a.txt": "job's\n", "untracked": "job's\n"})
    harm(lab.sandbox)
    note = lab.run()
    lab.assert_exact()
    assert git(lab.sandbox, "symbolic-ref", "HEAD") == "refs/heads/main"
    kept = {path.removeprefix("sandbox/") for path in lab.left()}
    assert {"a.txt", "untracked"} <= kept
    assert ("sandbox/a.txt" in lab.left()) == note.startswith("made anew")
    assert lab.run() == "unchanged"


def test_a_repository_further_up_is_never_touched(lab: Lab, tmp_path: Path) -> None:
    """The account's home may be a git repository: with .git gone, git would find that one."""
    lab.run()
    git(lab.base, "init", "-q")
    (lab.base / ".gitignore").write_text("*\n!.gitignore\n")
    commit(lab.base, {".keep": "x"})
    before = git(lab.base, "rev-parse", "HEAD"), (lab.base / ".git/index").read_bytes()
    shutil.rmtree(lab.sandbox / ".git")
    lab.run()
    lab.assert_exact()
    assert (git(lab.base, "rev-parse", "HEAD"), (lab.base / ".git/index").read_bytes()) == before


# --- directories closed by chmod ---

_AS_A_USER = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.agent.sandboxes import Lab
lab = Lab(Path({base!r}), Path({laptop!r}))
lab.prepare(lab.request("", run_id="run1"))
os.chdir(lab.sandbox)
for name in ("new/file", "dir/more/file"):
    os.makedirs(os.path.dirname(name))
    open(name, "w").close()
with open("dir/b.txt", "w") as stream:
    stream.write("job's")
for name, mode in (("new", 0o500), ("dir/more", 0), ("dir/deep", {mode}), ("dir", {mode}), (".", {mode})):
    os.chmod(name, mode)
os.chdir("/")
print(lab.prepare(lab.request("", run_id="run2")))
"""


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not here")
@pytest.mark.parametrize("mode", [0o500, 0])
def test_directories_that_a_job_has_closed(lab: Lab, mode: int) -> None:
    lab.run()
    shutil.rmtree(lab.sandbox)
    shutil.rmtree(lab.job.run("run1").root)
    code = _AS_A_USER.format(path=sys.path, base=str(lab.base), laptop=str(lab.laptop), mode=mode)
    # root may write anywhere: without these capabilities it is a user like any other
    argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.getuid() == 0 else []
    done = subprocess.run([*argv, sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lab.assert_exact()
    assert lab.left() == ["dir/b.txt", "dir/more/file", "new/file"]
