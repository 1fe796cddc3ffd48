"""Values of the core's shapes, whole and random, for property tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as some

from dobby.core import status as st
from dobby.core.request import Module, Request

if TYPE_CHECKING:
    from dobby.core.record import Record

COMMIT = "0123456789abcdef0123456789abcdef01234567"
AT = "2026-01-02T03:04:05.678Z"

TEXT = some.text(max_size=20)
SECONDS = some.floats(min_value=0.001, max_value=1e9, allow_nan=False)

REQUEST = Request(
    run_id="20260102T030405-abcdef0123",
    project="shop",
    label="nightly",
    host="big",
    commit=COMMIT,
    command="python etl.py --all",
    revision="main",
)

MODULES = some.builds(
    Module,
    path=some.sampled_from(["lib/a", "b c", "-d"]),
    name=some.sampled_from(["lib/a", "x%2Fy"]),
    url=TEXT,
    commit=some.just(COMMIT),
)

REQUESTS = some.builds(
    Request,
    run_id=some.just("r1"),
    project=some.just("p"),
    label=some.just("l"),
    host=TEXT,
    commit=some.sampled_from([COMMIT, "a" * 64]),
    command=some.text(min_size=1).filter(lambda c: bool(c.strip()) and "\0" not in c),
    revision=TEXT,
    dir=some.sampled_from(["", "sub", "a b/c"]),
    environment=some.lists(TEXT, max_size=2).map(tuple),
    output=some.sampled_from([(), ("*.csv", "out/**")]),
    forward=some.sampled_from([(), ("API_KEY",)]),
    variables=some.sampled_from([(), (("A", "1"), ("B", "it's\n"))]),
    timeout_s=some.none() | SECONDS,
    if_running=some.sampled_from(["refuse", "queue", "replace"]),
    modules=some.lists(MODULES, max_size=2).map(tuple),
    tags=some.sampled_from([(), (("v1", COMMIT),)]),
    roots=some.sampled_from([(), (COMMIT,)]),
    force=some.booleans(),
    email=some.sampled_from(["", "ann@example.org"]),
    notify=some.sampled_from([(), ("team", "bob@example.org")]),
    notify_on=some.sampled_from([("failed",), ()]),
)

FAILURES: some.SearchStrategy[Record] = some.one_of(
    some.builds(st.Exit, code=some.integers(1, 255)),
    some.builds(st.Signal, number=some.integers(1, 64), name=TEXT, hint=TEXT),
    some.builds(st.OutOfMemory),
    some.builds(st.Environment, step=TEXT, command=TEXT, code=some.none() | some.integers(), tail=TEXT),
    some.builds(st.Internal, message=TEXT),
)
LOSSES: some.SearchStrategy[Record] = some.one_of(
    some.builds(st.Rebooted), some.builds(st.SupervisorKilled)
)

_TIMES = {
    "finished_at": some.just(AT),
    "started_at": some.none() | some.just(AT),
    "duration_s": some.none() | SECONDS,
    "log_offset": some.none() | some.integers(0, 1 << 50),
}
FINALS: some.SearchStrategy[st.Final] = some.one_of(
    some.builds(st.Succeeded, **_TIMES),
    some.builds(st.Failed, cause=FAILURES, **_TIMES),
    some.builds(st.Stopped, by=TEXT, **_TIMES),
    some.builds(st.TimedOut, timeout_s=SECONDS, **_TIMES),
    some.builds(st.Lost, cause=LOSSES, **_TIMES),
)
