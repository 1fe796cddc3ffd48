"""The team's log: who started, restarted and stopped what, for real, on an account that is shared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.carried import launch

from dobby import Client

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo


@pytest.fixture
def people(repo: Repo, host: Host) -> dict[str, Client]:
    """Two who share one account, each from a shell of their own."""
    return {who: Client(cwd=repo.path, environ={**os.environ, "USER": who}) for who in ("ann", "bob")}


def test_who_did_what_is_in_the_history(people: dict[str, Client], host: Host) -> None:
    first = launch(people["ann"], host, "sleep 600", label="etl")
    second = people["bob"].restart("etl", host=host.name, same=True)
    people["ann"].stop("etl", host=host.name)
    launch(people["bob"], host, "true", label="other").wait()

    def told(**which: Any) -> list[tuple[str, str, str, str, str]]:
        found = people["ann"].history(host=host.name, **which).runs
        return [
            (r["label"], r["status"], r["user"], r["restart_of"], (r["cause"] or {}).get("by", ""))
            for r in found
        ]

    before = ("etl", "stopped", "ann", "", "bob")
    after = ("etl", "stopped", "bob", first.run.run_id, "ann")
    other = ("other", "succeeded", "bob", "", "")
    assert told() == [other, after, before]
    assert told(label="etl") == [after, before]
    assert told(user="ann") == [after, before]  # who started one, and stopped the other
    assert told(user="nobody") == []
    assert told(status="succeeded") == [other]
    assert told(since="1h") == [other, after, before]
    assert told(since="2999") == []
    account = host.run(["id", "-un"]).decode().strip()
    rows = people["ann"].history(host=host.name).runs
    assert {row["account"] for row in rows} == {account}
    assert second.run_id in {row["run_id"] for row in rows}
