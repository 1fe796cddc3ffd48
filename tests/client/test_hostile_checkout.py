"""What lies in a checkout runs nothing on the laptop, whoever has written it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.gitrepo import Repo

from dobby import snapshot as snap

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A program that leaves `ran` beside it."""
    program = tmp_path / "evil"
    program.write_text(f'#!/bin/sh\ntouch "{tmp_path}/ran"\nexit 1\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("way", ["ext", "ssh"])
def test_a_nested_repository_that_lacks_objects_fetches_none(
    repo: Repo, evil: Path, tmp_path: Path, way: str
) -> None:
    """As an archive may bring it: an index of directories, whose trees a remote has promised."""
    nested = Repo(f"{repo.path}/nested")
    nested.commit("one", {"in/x": "x", "out/y": "y"})
    nested.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    if "out/" not in nested.git("ls-files", "--sparse").split():
        pytest.skip("this git makes no sparse index")
    tree = nested.git("rev-parse", "HEAD:out")
    os.unlink(f"{nested.path}/.git/objects/{tree[:2]}/{tree[2:]}")
    url = f"ext::{evil}" if way == "ext" else "ssh://nowhere.invalid/x"
    for name, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", url),
        ("protocol.ext.allow", "always"),
        ("core.sshCommand", str(evil)),
        ("core.fsmonitor", str(evil)),
    ):
        nested.git("config", name, value)
    shot = snap.take(snap.open_checkout(repo.path), ".", untracked_limit_bytes=1_000_000)
    listed = repo.git_bytes("-c", "core.fsmonitor=false", "status", "--short")
    assert listed == b"?? nested/\n"
    assert shot.untracked == 1
    assert not (tmp_path / "ran").exists()
