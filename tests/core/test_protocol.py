"""The words on the wire: frames and replies are found whatever stands around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dobby.core import protocol
from dobby.core.errors import (
    KINDS,
    Busy,
    DobbyError,
    UsageError,
    from_wire,
)

MARKER = b"m0123456789abcdef"
KIND = some.sampled_from(
    [protocol.NEED, protocol.ASK, protocol.SAY, protocol.DATA, protocol.DONE, protocol.FAIL]
)
NOISE = some.binary(max_size=60).filter(lambda b: MARKER not in b and b"\n" not in b)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=8,
)


@given(some.binary())
def test_a_frame_says_its_length(data: bytes) -> None:
    length, _, rest = protocol.frame(data).partition(b"\n")
    assert (int(length), rest) == (len(data), data)


@given(some.text(min_size=1), some.dictionaries(some.text(), JSON), some.binary(), some.booleans())
def test_a_call_comes_back_as_it_was(
    verb: str, args: dict[str, object], attached: bytes, more: bool
) -> None:
    call = verb, args, attached, more
    assert protocol.parse_call(protocol.dump_call(*call)) == call


@given(some.integers(min_value=0, max_value=30))
def test_a_call_that_was_cut_is_an_error(kept: int) -> None:
    call = protocol.dump_call("launch", {"label": "x"})
    with pytest.raises(ValueError):
        protocol.parse_call(call[:kept])


@given(KIND, some.binary(), NOISE)
def test_a_reply_is_found_behind_what_login_files_print(kind: str, payload: bytes, noise: bytes) -> None:
    reply = noise + protocol.dump_reply(MARKER.decode(), kind, payload)
    line, newline, rest = reply.partition(b"\n")
    assert protocol.parse_reply_line(MARKER, line + newline) == (kind, len(payload))
    assert rest == payload


@given(some.binary())
def test_noise_is_no_reply(noise: bytes) -> None:
    assert protocol.parse_reply_line(MARKER, noise.replace(MARKER, b"") + b"\n") is None


@pytest.mark.parametrize(
    "line", [b"%b done 12", b"%b done -1\n", b"%b done 1 2\n", b"%b done\n", b"%b 12\n", b"%b \n"]
)
def test_a_line_that_was_cut_is_no_reply(line: bytes) -> None:
    assert protocol.parse_reply_line(MARKER, line.replace(b"%b", MARKER)) is None


def test_the_remote_command_suits_every_shell() -> None:
    # fish and tcsh treat \ and ! inside single quotes; a newline ends tcsh's line.
    inside = protocol.BOOTSTRAP.removeprefix("exec /bin/sh -c '").removesuffix("'")
    assert not set(inside) & set("'\\!\n")
    assert protocol.BOOTSTRAP.isascii()


@pytest.mark.parametrize("cls", KINDS.values())
def test_errors_cross_the_wire(cls: type[DobbyError]) -> None:
    wire = cls("it is so", "do this", holder={"label": "x"}).to_wire()
    back = from_wire(wire)
    assert type(back) is cls
    assert (back.message, back.hint, back.details) == ("it is so", "do this", {"holder": {"label": "x"}})
    assert str(back) == "it is so"


def test_an_unknown_error_is_still_an_error() -> None:
    back = from_wire({"kind": "from-the-future", "message": "no"})
    assert type(back) is DobbyError
    assert (back.message, back.exit_code) == ("no", 1)
    assert from_wire({}).message


def test_exit_codes_are_a_contract() -> None:
    assert {kind: cls.exit_code for kind, cls in KINDS.items()} == {
        "failed": 1,
        "not_found": 1,
        "usage": 2,
        "unreachable": 69,
        "bug": 70,
        "busy": 75,
    }
    assert issubclass(UsageError, DobbyError)
    assert issubclass(Busy, DobbyError)
