"""What must hold whatever is thrown at it. Each property is a strategy and a check that raises.

tests/fuzz tries a few inputs of each, the same every time; the campaign tries thousands.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
from html.parser import HTMLParser
from typing import Any

import tomllib
from hypothesis import strategies as some
from tests.core import told
from tests.core.examples import REQUEST
from tests.fuzz import words
from tests.fuzz.words import Property

from dobby.agent.channels import slack
from dobby.config.layers import resolve
from dobby.core import excerpt, layout, letter, manifest, names, protocol, toml
from dobby.core import request as rq
from dobby.core.errors import UsageError
from dobby.core.host_settings import parse_host_settings
from dobby.views.log import Sanitizer, clean_cell, clean_text

KEY = some.text(max_size=5)
JSON: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=8),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NASTY = some.one_of(
    some.text(max_size=40),
    some.sampled_from(["\x1b]52;c;aGk=\x07", "\x9b2J", "$(id)", "`id`", "';id;'", "\r\n", "-rf", "../x"]),
    some.sampled_from(["<!channel>", "<http://x|y>", "<script>", "&lt;", "```", "\u202e", "\udc80", "\0"]),
)
WORDS = some.lists(NASTY, min_size=1, max_size=4).map("".join)


# --- names and requests ---------------------------------------------------------------------------


def a_name_stays_in_its_place(text: str) -> None:
    assert names.is_name(names.make_name(text, "fallback"))
    try:
        run = layout.Run(home="/h", project="p", label=names.check_name(text, "label"), run_id=text)
    except UsageError:
        return
    assert re.fullmatch(r"/h/projects/p/jobs/[\w.-]+/runs/[\w.-]+/final\.json", run.final, re.ASCII)
    assert not text.startswith("-")
    assert layout.parse_marker("/h", run.marker.rpartition("/")[2]) == run


def a_submodules_cache_is_its_own(pair: tuple[str, str]) -> None:
    project = layout.Project(home="/h", project="p")
    paths = []
    for name in pair:
        try:
            paths.append(project.module_cache(names.check_inside(name, "submodule name")))
        except UsageError:
            return
    for path in paths:
        assert path.startswith("/h/projects/p/submodules/")
        assert path.count("/") == 5
    assert (paths[0] == paths[1]) == (pair[0] == pair[1])


def a_request_is_understood_or_refused(changes: dict[str, Any]) -> None:
    wire = {**rq.to_dict(REQUEST), **changes}
    try:
        request = rq.parse_request(wire)
    except UsageError:
        return
    assert rq.parse_request(json.loads(json.dumps(rq.to_dict(request)))) == request


def a_command_of_words_runs_nothing_else(words: list[str]) -> None:
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {shlex.join(words)}"], capture_output=True, check=True, timeout=20
    )
    assert said.stdout == b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
    assert said.stderr == b""


# --- what crosses the wire --------------------------------------------------------------------------


def a_call_is_understood_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError):
        call = protocol.parse_call(data)
        assert protocol.parse_call(protocol.dump_call(*call)) == call


def a_reply_is_found_behind_noise(given: tuple[bytes, bytes]) -> None:
    noise, payload = given
    marker = b"0123456789abcdef"
    line = (
        noise.replace(b"\n", b"")
        + protocol.dump_reply(marker.decode(), "done", payload).partition(b"\n")[0]
    )
    assert protocol.parse_reply_line(marker, line + b"\n") == ("done", len(payload))
    assert marker in noise or protocol.parse_reply_line(marker, noise) is None


def a_manifest_is_understood_or_an_error(value: Any) -> None:
    with contextlib.suppress(ValueError, UsageError):
        for item in manifest.parse_manifest(json.dumps(value).encode("utf-8", "surrogatepass")):
            assert not item.path.startswith("/")
            assert ".." not in item.path.split("/")


# --- settings ---------------------------------------------------------------------------------------

_TABLES = ("tool.dobby", "channel.team", "host.big", "project", "variables", "tool.uv", "[a]")
_KEYS = ("host", "label", "kind", "max_running", "timeout", "python", "on", "path", "notify")
_VALUES = ('"x"', "1", "-1", "true", '["a", "b"]', "{a = 1}", "1e400", "1979-05-27", '"1h"', "nan")
_MARKS = ("'''", '"""', "#", "\\u0000", "=", ".", "\r", "[", "{")
FRAGMENTS = some.one_of(
    some.sampled_from(_TABLES).map("[{}]\n".format),
    some.sampled_from(_KEYS).map("{} = ".format),
    some.sampled_from(_VALUES).map("{}\n".format),
    some.sampled_from(_MARKS),
)
SETTINGS = some.lists(FRAGMENTS | some.text(max_size=5), max_size=12).map("".join)


def settings_are_read_or_refused(text: str) -> None:
    for read in (
        lambda: parse_host_settings(text),
        lambda: resolve(user_file=("config.toml", text)),
        lambda: resolve(project=[("pyproject.toml of main", "pyproject.toml", text)]),
        lambda: resolve(project=[("dobby.toml of main", "dobby.toml", text)]),
    ):
        with contextlib.suppress(UsageError):
            read()


def toml_is_read_as_others_read_it(text: str) -> None:
    try:
        ours = toml.parse(text)
    except ValueError:
        return
    with contextlib.suppress(tomllib.TOMLDecodeError):
        assert repr(ours) == repr(_plain(tomllib.loads(text)))


def _plain(value: Any) -> Any:
    """Dates stay text with us."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, bool, int, float)) else str(value)


# --- what people see --------------------------------------------------------------------------------

SGR = re.compile(rb"\x1b\[[0-9;:]*m")


def a_terminal_obeys_no_log(chunks: list[bytes]) -> None:
    sanitizer = Sanitizer()
    shown = b"".join(map(sanitizer.feed, chunks)) + sanitizer.finish()
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", SGR.sub(b"", shown).decode())


def a_terminal_obeys_no_text(text: str) -> None:
    assert clean_cell(text).isprintable()
    assert clean_text(text).replace("\n", "").replace("\t", "").isprintable()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(sorted(name for name, _ in attrs))))


def a_notice_is_inert(text: str) -> None:
    fields = ("command", "dir", "revision", "subject", "user", "client", "note", "host")
    changes = dict.fromkeys(fields, text) | {"cause": {"kind": "internal", "message": text}}
    lines = excerpt.take(text.encode("utf-8", "surrogateescape"), is_cut=False)
    notice = told.notice("failed", changes, tail=lines.tail, error_line=lines.error_line)
    tags = _Tags()
    tags.feed(letter.html(notice, True))
    assert {tag for tag, _ in tags.seen} <= {"html", "head", "meta", "body", "div", "table", "tr", "td"}
    assert {name for _, named in tags.seen for name in named} <= {"style", "charset"}
    head = letter.compose(notice, "d@x.example", "a@x.example", True).partition(b"\r\n\r\n")[0]
    known = letter.compose(told.FAILED, "d@x.example", "a@x.example", True).partition(b"\r\n\r\n")[0]
    assert _headers(head) == _headers(known)
    said = json.dumps(slack.message(notice, True))
    assert not re.search(r"[<>\x00-\x1f\x7f]|\\u00[01][0-9a-f](?<!\\u000a)", said.replace("\\n", ""))
    assert json.loads(said)


def _headers(head: bytes) -> list[bytes]:
    return [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]


def a_secret_is_masked(given: tuple[str, str, str]) -> None:
    secret, before, after = given
    said = "\n".join([before + secret + after, json.dumps(secret), repr(secret)])
    assert secret.encode() not in excerpt.mask(said.encode(), [secret])
    lines = excerpt.take(said.encode(), is_cut=False, secrets=[secret])
    assert not any(secret in line for line in (*lines.tail, lines.error_line))


PLAIN = some.text(some.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), max_size=20)
SECRETS = some.tuples(PLAIN.filter(lambda text: len(text) >= 4 and "*" not in text), PLAIN, PLAIN)
LOGS = some.lists(
    some.binary(max_size=4)
    | some.sampled_from([b"\x1b", b"[", b"]52;", b"\x9b", b"\xc2", b"\x07", b"\x1b[1m"]),
    max_size=20,
)
WITHOUT_NUL = some.text(some.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

ARGUMENTS = some.lists(WITHOUT_NUL, min_size=1, max_size=5)
WIRE = some.dictionaries(some.sampled_from(sorted(REQUEST.to_dict())) | KEY, JSON | WORDS, max_size=3)
CALLS = some.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
ITEM = some.tuples(WORDS, some.integers(), some.text(max_size=64), some.integers(), WORDS)
BYTES = some.binary(max_size=60)

PROPERTIES = {
    "names": Property(WORDS | some.text(max_size=80), a_name_stays_in_its_place),
    "submodules": Property(some.tuples(WORDS, WORDS), a_submodules_cache_is_its_own),
    "requests": Property(WIRE, a_request_is_understood_or_refused),
    "words": Property(
        some.lists(WITHOUT_NUL, min_size=1, max_size=5), a_command_of_words_runs_nothing_else
    ),
    "calls": Property(CALLS, a_call_is_understood_or_an_error),
    "replies": Property(some.tuples(BYTES, BYTES), a_reply_is_found_behind_noise),
    "manifests": Property(JSON | some.lists(ITEM, max_size=2), a_manifest_is_understood_or_an_error),
    "settings": Property(SETTINGS, settings_are_read_or_refused),
    "toml": Property(SETTINGS, toml_is_read_as_others_read_it),
    "logs": Property(LOGS, a_terminal_obeys_no_log),
    "cells": Property(WORDS, a_terminal_obeys_no_text),
    "notices": Property(WORDS, a_notice_is_inert),
    "secrets": Property(SECRETS, a_secret_is_masked),
    **words.properties(JSON | WORDS),
}
