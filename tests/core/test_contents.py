"""Pointers of Git LFS, manifests of included files, and what an index says of a file: pure text."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.gitrepo import Repo

from dobby.core.errors import UsageError
from dobby.core.index_file import Entry, dump, parse, with_stats
from dobby.core.manifest import Item, dump_manifest, leaves, parse_manifest
from dobby.core.pointer import Pointer, parse_pointer, pointer_text

if TYPE_CHECKING:
    from pathlib import Path

ID = "ab" * 32
TEXT = f"version https://git-lfs.github.com/spec/v1\noid sha256:{ID}\nsize 12345\n".encode()


def test_a_pointer_is_git_lfs_own() -> None:
    pointer = Pointer(sha256=ID, size=12345)
    assert pointer_text(pointer) == TEXT
    assert parse_pointer(TEXT) == pointer
    assert pointer_text(Pointer(sha256=ID, size=0)) == b"", "an empty file is its own pointer"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (TEXT.replace(b"git-lfs.github.com/spec/v1", b"hawser.github.com/spec/v1"), True),
        (TEXT.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid"), True),
        (TEXT.replace(b"v1", b"v2"), False),
        (TEXT.replace(b"sha256:ab", b"sha256:AB"), False),
        (TEXT.replace(b"size 12345", b"size many"), False),
        (TEXT + b"x" * 1000, False),
        (b"#!/bin/sh\n" + TEXT, False),
        (b"", False),
    ],
)
def test_what_is_a_pointer(text: bytes, is_one: bool) -> None:
    assert (parse_pointer(text) is not None) == is_one


def test_a_manifest_survives_whatever_the_order() -> None:
    items = [Item(path="b", mode=0o700, sha256=ID, size=3), Item(path="a/\udcff", target="../b")]
    text = dump_manifest(items)
    assert text == dump_manifest(reversed(items))
    assert sorted(parse_manifest(text), key=lambda item: item.path) == [items[1], items[0]]


@pytest.mark.parametrize(
    "row",
    [
        ["../x", 0o600, ID, 1, ""],
        ["/etc/x", 0o600, ID, 1, ""],
        [".git/config", 0o600, ID, 1, ""],
        ["sub/.GIT/hooks/x", 0o700, ID, 1, ""],
        ["a//b", 0o600, ID, 1, ""],
        ["a", 0o600, "../../x", 1, ""],
        ["a", 0o600, "", 0, "/etc/passwd"],
        ["a/b", 0o600, "", 0, "../../x"],
    ],
)
def test_a_manifest_writes_nowhere_else(row: list[object]) -> None:
    with pytest.raises(UsageError):
        parse_manifest(json.dumps([row]).encode())


def test_a_manifest_opens_no_file_to_others() -> None:
    (item,) = parse_manifest(json.dumps([["a", 0o4777, ID, 1, ""]]).encode())
    assert item.mode == 0o700


def test_links_that_lead_out() -> None:
    assert not leaves("a/b", "../c")
    assert not leaves("a/b/c", "../../d/./e")
    assert leaves("a", "../a")
    assert leaves("a/b", "c/../../../d")


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_git_believes_what_the_index_is_told(repo: Repo, make_repo, object_format: str) -> None:  # type: ignore[no-untyped-def]
    repo = make_repo("other", object_format)
    long = "d" * 200 + "/" + "n" * 200  # names of all remainders of 8, and one long
    names = [*("x" * n for n in range(1, 12)), long]
    repo.commit("more", {name: f"{name}\n" for name in names})
    repo.git("update-index", "--skip-worktree", "run.sh")  # an extended entry
    for name in names:
        repo.write(name, "other content\n")
        os.utime(f"{repo.path}/{name}", (1_000_000_000, 1_000_000_000))
    assert len(repo.git("status", "--porcelain").splitlines()) == len(names)
    path = f"{repo.path}/.git/index"
    with open(path, "rb") as file:
        index = file.read()
    stats = {os.fsencode(name): os.lstat(f"{repo.path}/{name}") for name in names}
    new = with_stats(index, stats, object_format)
    assert new is not None
    with open(path, "wb") as file:
        file.write(new)
    assert repo.git("status", "--porcelain") == ""
    subprocess.run(["git", "fsck", "--no-progress"], cwd=repo.path, check=True, capture_output=True)


def test_an_index_of_another_form_is_left_alone(repo: Repo) -> None:
    repo.git("update-index", "--index-version", "4")
    with open(f"{repo.path}/.git/index", "rb") as file:
        index = file.read()
    assert with_stats(index, {}, "sha1") is None
    assert with_stats(b"DIRC", {}, "sha1") is None


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_an_index_of_ours_is_read_by_git_and_its_by_us(tmp_path: Path, object_format: str) -> None:
    repo = Repo(str(tmp_path / "repo"), object_format)
    repo.commit("one", {"a": "1\n", "d/" + "x" * 200: "2\n", "é": "3\n"})
    lines = [line.split() for line in repo.git("ls-files", "-z", "-s").rstrip("\0").split("\0")]
    entries = [Entry(path=os.fsencode(p), mode=m, id=i, stage=int(s)) for m, i, s, p in lines]
    index = f"{repo.path}/.git/index"
    with open(index, "rb") as file:
        assert parse(file.read(), object_format) == entries
    in_conflict = [e.replace(stage=n) for e in entries[:1] for n in (1, 2, 3)] + entries[1:]
    with open(index, "wb") as file:
        file.write(dump(in_conflict[::-1], object_format))
    assert repo.git("ls-files", "-s", "-z", "-u").count("\0") == 3
    with open(index, "rb") as file:
        assert parse(file.read(), object_format) == in_conflict
    long = [Entry(path=b"x" * 5000, mode="120000", id=entries[0].id)]
    assert parse(dump(long, object_format), object_format) == long
