"""Objects are found in the files of a store as git would find them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.agent.sandboxes import git, make_repo

from dobby.agent import pack_index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_what_is_there_is_known_without_a_process(tmp_path: Path, object_format: str) -> None:
    laptop = make_repo(tmp_path / "laptop", {f"{n}": f"{n}\n" for n in range(300)}, object_format)
    everything = git(laptop, "rev-list", "--objects", "--no-object-names", "--all").split()
    strangers = [id[1:] + id[:1] for id in everything]
    loose = f"{laptop}/.git/objects"
    assert all(pack_index.holds(loose, id) for id in everything)
    git(laptop, "repack", "-a", "-d", "-q")
    assert all(pack_index.holds(loose, id) for id in everything)
    assert not any(pack_index.holds(loose, id) for id in strangers)
    for name in os.listdir(f"{loose}/pack"):
        if name.endswith(".pack"):  # git knows no pack without it
            os.unlink(f"{loose}/pack/{name}")
    assert not any(pack_index.holds(loose, id) for id in everything)


def test_a_pack_that_is_replaced_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = make_repo(tmp_path / "laptop", {"a": "a"})
    git(laptop, "repack", "-a", "-d", "-q")
    real, folder = pack_index._is_in, f"{laptop}/.git/objects/pack"

    def late(path: str, id: bytes) -> bool:
        for name in os.listdir(folder):
            os.rename(f"{folder}/{name}", f"{folder}/pack-other{os.path.splitext(name)[1]}")
        return real(path, id)

    monkeypatch.setattr(pack_index, "_is_in", late)
    assert pack_index.holds(f"{laptop}/.git/objects", git(laptop, "rev-parse", "HEAD"))
