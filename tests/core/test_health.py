"""What a host's facts mean: a healthy one has no fault, and each fault is seen and can be mended."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dobby.core import health
from dobby.core.health import BAD, GOOD, NOTE, WARNING

FACTS: dict[str, Any] = {
    "connection": {"how": "made", "cold_s": 0.214, "warm_s": 0.009},
    "login_files": {"bytes": 0, "line": ""},
    "clock": {"skew_s": 0.02},
    "python": {"path": "/usr/bin/python3", "version": "3.11.2"},
    "agent": {"digest": "ab" * 32, "kept": 2, "bytes": 1_400_000},
    "git": {"path": "/usr/bin/git", "version": "2.39.5"},
    "settings": {"error": "", "hint": "", "warnings": [], "profile": "", "keeps": {}},
    "home": {
        "path": "/home/ann/.dobby",
        "filesystem": "ext4",
        "error": "",
        "disk": {"free_bytes": 40_000_000_000, "total_bytes": 100_000_000_000, "free_inodes": 900_000},
        "least_mb": 200,
    },
    "locks": {"filesystem": "ext4", "error": ""},
    "memory": {"free_bytes": 3_000_000_000, "total_bytes": 8_000_000_000},
    "logout": {"systemd": True, "manager": True, "lingers": True, "kills": False},
    "cron": {"program": "/usr/bin/crontab", "daemon": True, "watch": True},
    "tools": {"uv": "/usr/bin/uv", "rsync": "/usr/bin/rsync", "container": "/usr/bin/podman"},
    "index": {"url": "https://index.example/simple/", "ok": True, "answer": "200"},
    "channels": [{"name": "team", "kind": "webhook", "ok": True, "answer": "200", "problem": ""}],
    "usage": {
        "whole": True,
        "projects": [{"project": "shop", **dict.fromkeys(health.PARTS, 0), "cache": 12_000_000}],
    },
    "alive": ["shop/etl"],
}


def lines_of(**changes: dict[str, Any] | list[Any]) -> dict[str, health.Line]:
    facts = copy.deepcopy(FACTS)
    for name, change in changes.items():
        facts[name] = {**facts[name], **change} if isinstance(change, dict) else change
    return {line.check: line for line in health.judge(facts)}


def test_a_healthy_host() -> None:
    lines = lines_of()
    assert {line.state for line in lines.values()} == {GOOD}
    assert health.is_fit(list(lines.values()))
    assert lines["connection"].found == "214 ms to log in, then 9 ms until the host answers"
    assert lines["project shop"].found == "12 MB: cache 12 MB"
    assert lines["runs"].found == "1 alive: shop/etl"


@pytest.mark.parametrize(
    ("changes", "check", "state", "says"),
    [
        ({"connection": {"error": "no route", "hint": "try"}}, "connection", BAD, "no route"),
        ({"connection": {"how": "each"}}, "connection", WARNING, "each call logs in anew"),
        ({"login_files": {"bytes": 8, "line": "welcome"}}, "login files", WARNING, "print 8 B"),
        ({"clock": {"skew_s": 3600.2}}, "clock", WARNING, "3600 s ahead of"),
        ({"clock": {"skew_s": -7.0}}, "clock", WARNING, "7 s behind"),
        ({"python": {"error": "has no python3", "hint": "install"}}, "python", BAD, "has no python3"),
        ({"agent": {"error": "Read-only", "hint": "set"}}, "agent", BAD, "Read-only"),
        ({"git": {"error": "has no git", "hint": "install"}}, "git", BAD, "has no git"),
        ({"settings": {"error": "line 3", "hint": "mend"}}, "settings", BAD, "line 3"),
        ({"settings": {"profile": "/x is not there"}}, "profile", BAD, "/x is not there"),
        ({"home": {"error": "Read-only file system"}}, "home", BAD, "cannot be written"),
        ({"locks": {"error": "No locks available"}}, "locks", BAD, "do not work: No locks"),
        ({"memory": {"free_bytes": 1000}}, "memory", WARNING, "1.0 kB free"),
        ({"logout": {"manager": False, "lingers": False, "kills": True}}, "logout", BAD, "KillUser"),
        ({"cron": {"program": "", "watch": False}}, "cron", NOTE, "none"),
        ({"cron": {"daemon": False}}, "cron", WARNING, "no cron daemon"),
        ({"tools": {"rsync": ""}}, "rsync", NOTE, "none"),
        ({"index": {"ok": False, "answer": "it did not answer in time"}}, "index", WARNING, "in time"),
    ],
)
def test_each_fault_is_seen_and_says_how_to_mend_it(
    changes: dict[str, Any], check: str, state: str, says: str
) -> None:
    lines = lines_of(**changes)
    line = lines.pop(check)
    assert line.state == state
    assert says in line.found
    assert line.mend
    assert {other.state for other in lines.values()} == {GOOD}
    assert health.is_fit([line]) == (state != BAD)


@pytest.mark.parametrize(
    ("disk", "check", "state"),
    [
        ({"free_bytes": 199_000_000}, "disk", BAD),
        ({"free_bytes": 1_000_000_000}, "disk", WARNING),
        ({"free_bytes": 300_000_000, "total_bytes": 400_000_000}, "disk", GOOD),
        ({"free_inodes": 9_999}, "inodes", BAD),
    ],
)
def test_room(disk: dict[str, int], check: str, state: str) -> None:
    assert lines_of(home={"disk": {**FACTS["home"]["disk"], **disk}})[check].state == state


@pytest.mark.parametrize(
    ("keeps", "says"),
    [
        ({"last": 2, "days": None}, "keep_last = 2: of earlier"),
        ({"last": 0, "days": 9}, "keep_last = 0, keep_days = 9: "),
    ],
)
def test_that_outputs_go_by_themselves_is_said(keeps: dict[str, int | None], says: str) -> None:
    line = lines_of(settings={"keeps": keeps})["keeping"]
    assert (line.state, line.found.startswith(says)) == (GOOD, True)
    assert "outputs go, fetched or not" in line.found
    assert "keeping" not in lines_of(settings={"keeps": {"last": None, "days": None}})


def test_a_filesystem_that_makes_inodes_as_they_are_needed() -> None:
    assert "inodes" not in lines_of(home={"disk": {**FACTS["home"]["disk"], "free_inodes": None}})


def test_a_shared_filesystem_is_named_though_its_locks_work() -> None:
    line = lines_of(locks={"filesystem": "nfs4"})["locks"]
    assert (line.state, "over the network: nfs4" in line.found) == (GOOD, True)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"ok": False, "answer": "it cannot be reached: Connection refused"}, WARNING),
        ({"ok": False, "answer": "", "problem": "url is missing"}, WARNING),
        ({"ok": None, "answer": ""}, NOTE),
    ],
)
def test_a_channel(said: dict[str, Any], state: str) -> None:
    line = lines_of(channels=[{**FACTS["channels"][0], **said}])["channel team"]
    assert line.state == state
    assert line.found
    assert "dobby channel" in line.mend + line.found


def test_what_was_not_reached_has_no_line() -> None:
    assert [line.check for line in health.judge({"connection": {"error": "gone"}})] == ["connection"]


def test_a_user_manager_that_does_not_linger_has_no_runs_to_take_along() -> None:
    line = lines_of(logout={"lingers": False})["logout"]
    assert (line.state, line.found) == (GOOD, "ends no process")
