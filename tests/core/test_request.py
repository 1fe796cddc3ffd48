"""Requests: what crosses the wire comes back equal; what must not reach a host is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from tests import weird
from tests.core import examples

from dobby.core import request as rq
from dobby.core.errors import UsageError


def round_trip(request: rq.Request) -> rq.Request:
    return rq.parse_request(json.loads(json.dumps(rq.to_dict(request))))


@given(examples.REQUESTS)
def test_a_request_comes_back_as_it_was(request: rq.Request) -> None:
    assert round_trip(request) == request


@pytest.mark.parametrize("command", weird.COMMANDS)
def test_a_command_is_kept_byte_for_byte(command: str) -> None:
    assert round_trip(examples.REQUEST.replace(command=command)).command == command


@pytest.mark.parametrize("dir", weird.NOT_INSIDE)
def test_what_leaves_the_checkout_is_refused(dir: str) -> None:
    for field in ("dir", "output", "keep", "setup_key"):
        value: Any = dir if field == "dir" else (dir,)
        with pytest.raises(UsageError):
            rq.check_request(examples.REQUEST.replace(**{field: value}))


@pytest.mark.parametrize("dir", ["", "a", "a/b", "a b", "...", "a..b/c", "-x", "é"])
def test_what_stays_inside_is_let_in(dir: str) -> None:
    assert rq.check_request(examples.REQUEST.replace(dir=dir)).dir == dir


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "../x"},
        {"project": ""},
        {"run_id": "a/b"},
        {"commit": "main"},
        {"commit": "A" * 40},
        {"commit": "0" * 39},
        {"command": " \n"},
        {"command": "a\0b"},
        {"setup": "a\0b"},
        {"if_running": "maybe"},
        {"timeout_s": 0},
        {"notify": ("a b",)},
        {"notify": ("a@b\nBcc: c@d",)},
        {"email": "team"},
        {"email": "a@b, c@d"},
        {"grace_s": -1},
        {"forward": ("A-B",)},
        {"requires": ("",)},
        {"requires": ("/bin/sh",)},
        {"requires": ("a b",)},
        {"forward": ("DOBBY_HOME",)},
        {"variables": (("A=B", ""),)},
        {"variables": (("DOBBY_LABEL", "x"),)},
        {"modules": (rq.Module(path="../x", name="x", url="", commit=examples.COMMIT),)},
        {"modules": (rq.Module(path="x", name="a/../../x", url="", commit=examples.COMMIT),)},
        {"modules": (rq.Module(path="x", name="x", url="", commit="HEAD"),)},
    ],
)
def test_what_must_not_reach_a_host_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        rq.check_request(examples.REQUEST.replace(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"schema": None},
        {"from_the_future": 1},
        {"modules": [{"path": "x", "name": "x", "url": "", "commit": examples.COMMIT, "new": 1}]},
        {"modules": [{"path": "x"}]},
    ],
)
def test_a_request_of_a_newer_client_is_refused_not_half_done(changes: dict[str, Any]) -> None:
    wire = rq.to_dict(examples.REQUEST) | changes
    with pytest.raises(UsageError):
        rq.parse_request(wire)


def test_the_digest_is_of_what_is_asked_for() -> None:
    request = examples.REQUEST
    same = request.replace(
        requires=("psql",),
        requires_from="pyproject.toml",
        run_id="other",
        user="x",
        client="laptop",
        restart_of="r",
        subject="s",
        force=True,
    )
    assert same.digest() == request.digest()
    for changes in (
        {"command": "true"},
        {"commit": "b" * 40},
        {"label": "x"},
        {"host": "y"},
        {"forward": ("K",)},
    ):
        assert request.replace(**changes).digest() != request.digest()


@given(examples.REQUESTS)
def test_the_digest_survives_the_wire(request: rq.Request) -> None:
    assert round_trip(request).digest() == request.digest()


def test_who_is_told_is_asked_for_but_the_owners_own_wishes_are_not() -> None:
    before = examples.REQUEST.digest()
    assert examples.REQUEST.replace(email="ann@x.example", notify_on=("failed",)).digest() == before
    assert examples.REQUEST.replace(notify=("team",)).digest() != before
