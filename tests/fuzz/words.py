"""Words that are handed on, to git, to ssh, to a program's environment, and what a host sends back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as some
from tests import gitrepo
from tests.client.liar import Agent, Liar
from tests.core.examples import AT, COMMIT, REQUEST

from dobby import snapshot
from dobby.agent.wire import Wire
from dobby.client import rows
from dobby.client.forwarding import forwarded, read_env_file
from dobby.core import gitmodules, names
from dobby.core.errors import DobbyError, UsageError
from dobby.core.view import make_view, to_row
from dobby.snapshot import revisions
from dobby.ssh import check_destination
from dobby.transport import Session
from dobby.views import table

if TYPE_CHECKING:
    from collections.abc import Callable


class Property(NamedTuple):
    inputs: some.SearchStrategy[Any]
    check: Callable[[Any], None]


# --- .gitmodules ----------------------------------------------------------------------------------

_MODULES = some.sampled_from(
    [
        *('[submodule "a"]\n', '[submodule "../x"]\n', '[submodule "a/../../b"]\n', "[submodule.a]\n"),
        *('[submodule "-u"]\n', '[submodule "x/.GIT/y"]\n', "[core]\n", '[submodule ""]\n'),
        *("path = lib\n", "path = ../lib\n", "path = .git/hooks\n", "path = /etc\n", "path = -x\n"),
        *("path = a//b\n", 'path = "a\\nb"\n', "path = lib/\n", "path\n", "path = a/./b\n", "path = .\n"),
        *("url = ext::sh -c id\n", "url = ../up\n", "url = -u./x\n", "url = https://u:p@h/x\n", "url\n"),
        *("url = ssh://-oProxyCommand=id/x\n", "url = fd::7\n", 'url = "a\\nb"\n', "update = !id\n"),
        *("\\\n", "#", ";", '"', "[", "\t", "\0", "\r"),
    ]
)
GITMODULES = some.lists(_MODULES | some.text(max_size=4), max_size=10).map("".join)


class _Everywhere(dict[str, str]):
    """Links at every path."""

    def __contains__(self, path: object) -> bool:
        return True

    def __missing__(self, path: str) -> str:
        return COMMIT


def a_submodule_stays_in_its_checkout(text: str) -> None:
    """As git reads the file: what is let through leads nowhere else, and runs nothing."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        said = subprocess.run(
            ["git", "config", "-z", "--list", "--file", file.name], capture_output=True, check=False
        )
    with contextlib.suppress(UsageError):
        for one in gitmodules.recorded(os.fsdecode(said.stdout), _Everywhere(), ""):
            for word in (one.path, one.name):
                assert os.path.normpath(f"/top/{word}").startswith("/top/")
                assert os.path.normpath(f"/top/{word}") == f"/top/{word}"
                assert not {".git", "", "..", "."} & set(word.lower().split("/"))
                assert not word.startswith("-")
            assert not one.url.startswith(("-", "ext::", "fd::"))
            assert "://-" not in one.url
            assert "\n" not in one.url


# --- revisions ------------------------------------------------------------------------------------

_REVISIONS = some.sampled_from(
    ["main", "HEAD", "@", "~", "^", "{", "}", "@{-1}", ":/", ":", "..", "--", "-", "/", "refs/", "v1", " "]
)
REVISIONS = some.lists(_REVISIONS | some.text(max_size=5), min_size=1, max_size=5).map("".join)


class Place:
    """`with Place() as place`: a repository in which names are looked up."""

    def __enter__(self) -> Place:
        self._top = tempfile.TemporaryDirectory(prefix="words-")
        path = gitrepo.example(f"{self._top.name}/project").path
        self._checkout = snapshot.open_checkout(path)
        self._files = self._seen()
        return self

    def __exit__(self, *_: object) -> None:
        self._top.cleanup()

    def _seen(self) -> set[str]:
        return {f"{base}/{name}" for base, _, names in os.walk(self._top.name) for name in names}

    def check(self, revision: str) -> None:
        """It means a commit or nothing; nothing is written, and git takes no word for an option."""
        try:
            found = revisions.resolve(self._checkout, names.check_revision(revision), (), lambda text: None)
        except UsageError:
            return
        finally:
            assert self._seen() == self._files
        assert len(found.commit.id) == 40


# --- variables ------------------------------------------------------------------------------------

_NAMES = some.sampled_from(["A", "B", "PATH", "DOBBY_X", "1", "", "a b", "é", "A\n", "-e", "A.B"])
ENV_WORDS = some.lists(
    some.tuples(_NAMES | some.text(max_size=4), some.sampled_from(["", "="]), some.text(max_size=6)).map(
        "".join
    ),
    max_size=4,
)
ENV_FILES = some.lists(
    some.sampled_from([b"export ", b"A=", b"'", b'"', b"#", b"\n", b"\r\n", b"=", b"\0", b" ", b"DOBBY_A="])
    | some.binary(max_size=4),
    max_size=12,
).map(b"".join)
CANARY = "canary-of-a-secret"


def variables_are_names_and_values(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        for found in forwarded(words, {"B": CANARY}, {"A": "1", "PATH": "/bin"}):
            for name, value in found.items():
                assert name.isidentifier()
                assert name.isascii()
                assert not name.startswith("DOBBY_")
                assert "\0" not in value


def an_env_file_is_read_or_refused_in_silence(text: bytes) -> None:
    """No message tells what stands in it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.replace(b"\n", CANARY.encode() + b"\n") + CANARY.encode())
        file.flush()
        try:
            values = read_env_file(file.name)
        except UsageError as error:
            said = f"{error} {error.hint}"
        else:
            said = ""
            for name, value in values.items():
                assert name.isidentifier()
                assert not {"\0", "\n"} & set(value)
    assert CANARY not in said


# --- hosts ----------------------------------------------------------------------------------------

_HOSTS = some.sampled_from(
    [
        *(
            "ssh://",
            "user@",
            "-oProxyCommand=id",
            "-",
            "@",
            ":",
            "22",
            "/",
            "host",
            "[::1]",
            "a,b",
            "%h",
            "#",
        ),
        *("%h", "#", "$(id)", "`id`", ";id", "|id", "\n", " ", "\0", "é", "!", "*", "?", "~", "=", "{a,b}"),
    ]
)
HOSTS = some.lists(_HOSTS, min_size=1, max_size=4).map("".join)


def a_host_is_no_option(host: str) -> None:
    """As ssh itself understands it (-G): neither name nor user could be one, and no shell sees more than
    a word where a ProxyCommand names them."""
    try:
        check_destination(host)
    except UsageError:
        return
    said = subprocess.run(
        ["ssh", "-F", "none", "-G", "--", host], capture_output=True, text=True, check=False
    )
    told = dict(line.partition(" ")[::2] for line in said.stdout.splitlines())
    assert told.get("host", host) != ""
    for key in ("hostname", "user"):
        assert not told.get(key, "").startswith("-"), told[key]
        assert not set(" \n;|&<>()$`'\"\\") & set(told.get(key, "")), told[key]


# --- what crosses the wire --------------------------------------------------------------------------

_FRAMES = some.sampled_from(
    [b"0\n", b"3\nabc", b"5\nabc", b"\n", b"-1\n", b" 2 \nab", b"9" * 14 + b"\n", b"9" * 5000 + b"\n"]
)
FRAMES = some.lists(_FRAMES | some.binary(max_size=6), max_size=5).map(b"".join)


def frames_are_whole_or_cut(data: bytes) -> None:
    wire = Wire(io.BufferedReader(io.BytesIO(data)), "m")
    read = wire.read_frames()
    with contextlib.suppress(DobbyError):
        while part := read(2):
            assert part in data


_SAID = some.sampled_from(
    [
        *(
            b"MARK here 0\n",
            b"MARK done 2\n{}",
            b"MARK done 4\nnull",
            b"MARK fail 2\n{}",
            b"MARK say 3\nabc",
        ),
        *(b'MARK fail 15\n{"message": 3}\n', b"MARK need 0\n", b"MARK need 7\npython2", b"MARK at 1\nx"),
        *(
            b"MARK say 3\nabc",
            b"MARK ask 2\n{}",
            b"MARK done 9\n",
            b"MARK x -1\n",
            b"MARK ",
            b"motd\n",
            b"\x1b[2J",
            b"\n",
        ),
    ]
)
STREAMS = some.lists(_SAID | some.binary(max_size=6), max_size=6).map(b"".join)


class _Shipped(Agent):
    def loader(self) -> bytes:
        return b""

    archive = loader


def a_session_has_a_result_or_an_error(said: bytes) -> None:
    with contextlib.suppress(DobbyError):
        assert isinstance(Session(Liar(said, stays=False), _Shipped).call("list", {}), dict)  # type: ignore[arg-type]


ROW = json.loads(json.dumps(to_row(make_view(REQUEST, 1, AT, [], None), "big")))


def rows_are_shown_or_refused(changes: dict[str, Any]) -> None:
    row = {**ROW, **changes}
    listed = {"fields": list(row), "runs": [list(row.values())], "unreadable": []}
    answer = json.loads(json.dumps(listed))
    try:
        found = rows.of_answer("big", "list", answer)
    except DobbyError:
        return
    for said in (table.of_runs(found).plain(), table.of_history(found).plain()):
        assert said.replace("\n", "").isprintable()


def properties(json_values: some.SearchStrategy[Any]) -> dict[str, Property]:
    changes = some.dictionaries(some.sampled_from(sorted(ROW)), json_values, max_size=3)
    return {
        "gitmodules": Property(GITMODULES, a_submodule_stays_in_its_checkout),
        "variables": Property(ENV_WORDS, variables_are_names_and_values),
        "env files": Property(ENV_FILES, an_env_file_is_read_or_refused_in_silence),
        "hosts": Property(HOSTS, a_host_is_no_option),
        "frames": Property(FRAMES, frames_are_whole_or_cut),
        "streams": Property(STREAMS, a_session_has_a_result_or_an_error),
        "rows": Property(changes, rows_are_shown_or_refused),
    }
