"""Submodules: which travel, from where, and what is refused in a .gitmodules."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.client import snapshots
from tests.client.family import Family, modules
from tests.client.snapshots import files, take

from dobby import snapshot
from dobby.core import urls
from dobby.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path)


@pytest.mark.parametrize("revision", [".", "main"])
def test_initialised_ones_travel_parents_first(family: Family, revision: str) -> None:
    family.initialise()
    taken = take(family.outer, revision)
    assert list(modules(taken)) == ["libs/inner", "libs/inner/deep/innermost"]
    inner, innermost = modules(taken).values()
    assert (inner.name, inner.commit) == ("libs/inner", family.inner.head)
    assert (innermost.name, innermost.commit) == ("libs/inner/odd name", family.innermost.head)
    assert innermost.url.endswith("/innermost")
    assert ".." not in innermost.url
    for source in taken.modules:
        assert snapshot.known(source.git_dir, source.objects, [source.module.commit])
    assert taken.notices == ()


def test_no_submodules_no_modules(repo: Repo) -> None:
    assert take(repo).modules == take(repo, "demo").modules == ()


@pytest.mark.parametrize("revision", [".", "main"])
def test_one_that_is_not_initialised_is_named(family: Family, revision: str) -> None:
    family.outer.git("submodule", "deinit", "-q", "-f", "libs/inner")
    subprocess.run(["rm", "-rf", f"{family.outer.path}/.git/modules"], check=True)
    taken = take(family.outer, revision)
    (module,) = modules(taken).values()
    assert (module.fetch, module.commit) == (True, family.inner.head)
    assert module.url == f"file://{os.path.dirname(family.outer.path)}/inner"
    (notice,) = taken.notices
    assert "the host fetches the submodule libs/inner from file:///" in notice


def test_one_that_is_left_out(family: Family) -> None:
    family.outer.git("submodule", "deinit", "-q", "-f", "libs/inner")
    subprocess.run(["rm", "-rf", f"{family.outer.path}/.git/modules"], check=True)
    family.outer.git("config", "submodule.libs/inner.update", "none")
    taken = take(family.outer)
    assert (taken.modules, taken.notices) == ((), ())


def test_a_nested_one_that_is_not_initialised_is_named(family: Family) -> None:
    taken = take(family.outer)
    inner, innermost = modules(taken).values()
    assert (inner.fetch, innermost.fetch) == (False, True)
    assert innermost.path == "libs/inner/deep/innermost"
    (notice,) = taken.notices
    assert "libs/inner/deep/innermost" in notice


def test_a_working_tree_records_where_a_submodule_stands(family: Family) -> None:
    family.initialise()
    moved = family.here.commit("moved on", {"b.txt": "changed\n"})
    taken = take(family.outer)
    assert modules(taken)["libs/inner"].commit == moved
    assert files(family.outer, taken)["libs/inner"] == ("160000", moved.encode())
    assert modules(take(family.outer, "main"))["libs/inner"].commit == family.inner.head
    assert taken.notices == ()


def test_a_branch_whose_submodule_lies_elsewhere(family: Family) -> None:
    """Its git directory is found by name, whatever the working tree holds now."""
    family.initialise()
    family.outer.git("checkout", "-q", "-b", "moved")
    family.outer.git("mv", "libs/inner", "elsewhere")
    family.outer.git("commit", "-q", "-m", "moved")
    family.outer.git("checkout", "-q", "main")
    family.outer.git("submodule", "update", "-q", "--init")
    taken = take(family.outer, "moved")
    assert next(iter(modules(taken))) == "elsewhere"
    assert modules(taken)["elsewhere"].name == "libs/inner"


def test_a_commit_that_the_submodule_lacks_is_named(family: Family) -> None:
    family.outer.git("update-index", "--cacheinfo", f"160000,{'1' * 40},libs/inner")
    family.outer.git("commit", "-q", "-m", "a commit that nobody has")
    taken = take(family.outer, "main")
    (notice,) = taken.notices
    assert "1111111111 is not here" in notice
    (module,) = modules(taken).values()
    assert module.fetch


@pytest.mark.parametrize("kind", ["shallow", "partial"])
def test_one_whose_history_is_not_whole_travels_as_it_is(family: Family, kind: str) -> None:
    family.initialise()
    source = take(family.outer).modules[0]
    assert not source.cut
    if kind == "shallow":
        with open(f"{source.git_dir}/shallow", "w") as file:
            file.write(family.inner.head + "\n")
    else:
        family.here.git("config", "remote.origin.promisor", "true")
    cut = take(family.outer).modules[0]
    assert (cut.cut, cut.module) == (True, source.module)


def test_in_a_linked_worktree(family: Family, tmp_path: Path) -> None:
    linked = str(tmp_path / "linked")
    family.outer.git("worktree", "add", "-q", "-b", "side", linked)
    subprocess.run(["git", "submodule", "update", "--init", "-q"], cwd=linked, check=True)
    taken = snapshot.take(snapshot.open_checkout(linked), ".", untracked_limit_bytes=1)
    assert "/worktrees/linked/modules/" in taken.modules[0].git_dir


def test_foreign_filters_in_a_submodule_are_refused(family: Family) -> None:
    family.here.commit("filtered", {".gitattributes": "b.txt filter=crypt\n"})
    family.outer.git("config", "filter.crypt.smudge", "cat")
    with pytest.raises(UsageError, match=r"libs/inner/b.txt: under the filter crypt"):
        take(family.outer)
    assert "libs/inner" in modules(take(family.outer, force=True))


class TestHostile:
    """A .gitmodules must not reach outside, run anything, or be taken for options."""

    def gitmodules(self, family: Family, name: str, path: str, url: str) -> None:
        text = f'[submodule "{name}"]\n\tpath = {path}\n\turl = "{url}"\n'
        family.outer.write(".gitmodules", text)
        family.outer.git("config", "--remove-section", "submodule.libs/inner")

    @pytest.mark.parametrize("revision", [".", "main"])
    @pytest.mark.parametrize(
        ("name", "path", "url"),
        [
            ("../x", "libs/inner", "https://example.org/x"),
            ("a/../../x", "libs/inner", "https://example.org/x"),
            ("/etc", "libs/inner", "https://example.org/x"),
            ("x/.git", "libs/inner", "https://example.org/x"),
            ("x", "libs/inner", "-uhttps://example.org/x"),
            ("x", "libs/inner", "--upload-pack=touch x"),
            ("x", "libs/inner", "ext::sh -c touch% x"),
            ("x", "libs/inner", "EXT::sh"),
            ("x", "libs/inner", "fd::17"),
            ("x", "libs/inner", "evil://example.org/x"),
            ("x", "libs/inner", "ssh://-oProxyCommand=touch/x"),
            ("x", "libs/inner", "-oProxyCommand=touch:x"),
            ("x", "libs/inner", "https://example.org/x\\ny"),
            ("x", "libs/inner", "../../../../../../../../../../../x"),
        ],
    )
    def test_names_and_urls(self, family: Family, name: str, path: str, url: str, revision: str) -> None:
        self.gitmodules(family, name, path, url)
        if revision == "main":
            family.outer.git("add", ".gitmodules")
            family.outer.git("commit", "-q", "-m", "hostile")
        with pytest.raises(UsageError) as refused:
            take(family.outer, revision)
        assert refused.value.exit_code == 2
        assert "\n" not in refused.value.message

    @pytest.mark.parametrize("path", ["../inner", "/etc", ".git/hooks", "x/.GIT/y", "-rf", "a/./b"])
    def test_paths(self, family: Family, path: str) -> None:
        """Such a gitlink cannot be made, so the file's word alone is refused."""
        extra = f'[submodule "x"]\n\tpath = {path}\n\turl = https://example.org/x\n'
        with open(f"{family.outer.path}/.gitmodules", "a") as file:
            file.write(extra)
        with pytest.raises(UsageError, match="submodule 'x'"):
            take(family.outer)

    def test_a_symlink_for_a_file(self, family: Family, tmp_path: Path) -> None:
        os.unlink(f"{family.outer.path}/.gitmodules")
        (tmp_path / "elsewhere").write_text('[submodule "x"]\n')
        os.symlink(tmp_path / "elsewhere", f"{family.outer.path}/.gitmodules")
        with pytest.raises(UsageError, match=r"\.gitmodules is a symlink"):
            take(family.outer)

    def test_one_that_is_broken(self, family: Family) -> None:
        family.outer.write(".gitmodules", "[submodule\n")
        with pytest.raises(UsageError, match=r"\.gitmodules cannot be read"):
            take(family.outer)

    def test_includes_are_not_followed(self, family: Family, tmp_path: Path) -> None:
        (tmp_path / "more").write_text('[submodule "x"]\n\tpath = ../x\n\turl = https://example.org/x\n')
        with open(f"{family.outer.path}/.gitmodules", "a") as file:
            file.write(f"[include]\n\tpath = {tmp_path}/more\n")
        assert [name for name in modules(take(family.outer)) if "deep" not in name] == ["libs/inner"]

    def test_user_info_does_not_travel(self, family: Family) -> None:
        self.gitmodules(family, "libs/inner", "libs/inner", "https://me:canary@example.org/inner")
        assert modules(take(family.outer))["libs/inner"].url == "https://example.org/inner"


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://example.org/team/x.git", "../y.git", "https://example.org/team/y.git"),
        ("https://example.org/team/x.git/", "../../y.git", "https://example.org/y.git"),
        ("git@example.org:team/x.git", "../y.git", "git@example.org:team/y.git"),
        ("git@example.org:x.git", "../y.git", "git@example.org:y.git"),
        ("git@example.org:/srv/x.git", "../y.git", "git@example.org:/srv/y.git"),
        ("/srv/x.git", "./y", "/srv/x.git/y"),
        ("/srv/x.git", "../y", "/srv/y"),
        ("ssh://git@example.org:22/x.git", "../y.git", "ssh://git@example.org:22/y.git"),
        ("../x.git", "../y.git", "../y.git"),
        ("https://example.org/x", "https://other.example/y", "https://other.example/y"),
    ],
)
def test_relative_urls(base: str, url: str, expected: str) -> None:
    assert urls.resolve(base, url) == expected


def test_the_limit_of_relative_urls() -> None:
    with pytest.raises(UsageError, match="leaves"):
        urls.resolve("https://example.org/x", "../../y")


def test_the_checkout_of_a_submodule_is_one_of_its_own(family: Family) -> None:
    checkout = snapshot.open_checkout(family.here.path)
    assert checkout.top == family.here.path
    taken = snapshot.take(checkout, ".", untracked_limit_bytes=snapshots.LIMIT)
    assert taken.commit == family.inner.head
