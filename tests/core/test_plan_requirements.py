"""requirements.txt: what it includes, and which lines name a path."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree

from dobby.core.requirements import Local, included, local_paths, logical_lines, parse_local


@pytest.mark.parametrize(
    ("line", "local"),
    [
        (".", Local(word=".", path="", editable=False)),
        ("./sub", Local(word="./sub", path="sub", editable=False)),
        ("-e .", Local(word=".", path="", editable=True)),
        ("-e.", Local(word=".", path="", editable=True)),
        ("--editable=./a/b[x,y]", Local(word="./a/b[x,y]", path="a/b", editable=True)),
        ("-e sub", Local(word="sub", path="sub", editable=True)),
        (".[dev]", Local(word=".[dev]", path="", editable=False)),
        ("./sub ; python_version > '3'", Local(word="./sub", path="sub", editable=False)),
        ("w/x.whl --hash=sha256:0", Local(word="w/x.whl", path="w/x.whl", editable=False)),
        ("../up", Local(word="../up", path="../up", editable=False)),
        ("file:./sub", Local(word="file:./sub", path="sub", editable=False)),
        ("file:///box/sub#egg=x", Local(word="file:///box/sub#egg=x", path="/box/sub", editable=False)),
        ("pkg @ file:./sub", Local(word="pkg @ file:./sub", path="sub", editable=False)),
        ("pkg[a] @ ./sub", Local(word="pkg[a] @ ./sub", path="sub", editable=False)),
        ("six", None),
        ("six[x]>=1,<2", None),
        ("six @ https://example.org/six.whl", None),
        ("git+ssh://git@example.org/x/y.git@main", None),
        ("-e git+https://example.org/x.git#egg=x", None),
        ("-r other.txt", None),
        ("--index-url https://example.org/simple/", None),
        ("--find-links ./wheels", None),
    ],
)
def test_lines_that_name_a_path(line: str, local: Local | None) -> None:
    assert parse_local(line) == local


def test_comments_and_continued_lines() -> None:
    text = "# all\nsix \\\n  >=1  # why\n\nhttps://x/y.whl#sha=1\r\n"
    assert logical_lines(text) == ["six   >=1", "https://x/y.whl#sha=1"]


def test_includes_are_followed_from_the_file_that_names_them_and_end() -> None:
    tree = DictTree(
        {
            "app/requirements.txt": "-r reqs/a.txt\n-c ../pins.txt\n-r https://x/y.txt\n-r gone.txt\n",
            "app/reqs/a.txt": "--requirement=b.txt\n-rb.txt\n",
            "app/reqs/b.txt": "-r ../requirements.txt\nsix\n-e ./lib\n",
            "pins.txt": "six==1\n",
        },
        dir="app",
    )
    files = included(tree)
    assert [path for path, _ in files] == ["requirements.txt", "reqs/a.txt", "../pins.txt", "reqs/b.txt"]
    assert local_paths(files) == [Local(word="./lib", path="lib", editable=True)]
