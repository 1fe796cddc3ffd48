"""Who is told of what: every rule, and how settings trim them."""

from __future__ import annotations

import pytest
from hypothesis import given
from tests.core import told
from tests.core.examples import AT, FINALS, REQUEST

from dobby.core import notices
from dobby.core import status as st
from dobby.core.host_settings import Channel
from dobby.core.notices import due, recipients, to_json, unknown_names

QUEUED, STARTED = {"kind": "queued", "at": AT}, {"kind": "started", "at": AT, "log_offset": 0}
TEAM = Channel(name="team", kind="slack")
MAIL = Channel(name="mail", kind="email", team=False)
OWNED = REQUEST.replace(email="ann@example.org")
FAILED = st.Failed(finished_at=AT, started_at=AT, duration_s=60.0, cause=st.Exit(code=1))


def told_of(found: list[notices.Delivery]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.channel, one.to) for one in found]


def test_nothing_is_due_of_a_run_that_waits() -> None:
    assert due(OWNED, [QUEUED], None, [TEAM, MAIL]) == []


def test_a_start_and_an_end_go_to_the_team_and_the_owner() -> None:
    found = due(OWNED, [QUEUED, STARTED], FAILED, [TEAM, MAIL])
    assert told_of(found) == [
        ("started", "team", ""),
        ("started", "mail", "ann@example.org"),
        ("failed", "team", ""),
        ("failed", "mail", "ann@example.org"),
    ]
    assert [one.event_id for one in found[::2]] == [f"{OWNED.run_id}.started", f"{OWNED.run_id}.failed"]


@given(FINALS)
def test_every_final_status_is_told_under_its_name(final: st.Final) -> None:
    assert told_of(due(REQUEST, [], final, [TEAM])) == [(final.name, "team", "")]


def test_every_kind_has_a_rule() -> None:
    assert set(notices.RULES) == set(st.NOTICE_KINDS)


def test_a_silent_run_is_told_of_once_it_was_found() -> None:
    assert told_of(due(REQUEST, [STARTED], None, [TEAM], stalled=True)) == [
        ("started", "team", ""),
        ("stalled", "team", ""),
    ]


def test_lines_of_the_log_go_to_the_owner_and_where_the_settings_say_so() -> None:
    open_channel = TEAM.replace(name="open", log_lines=True)
    request = OWNED.replace(notify=("bob@example.org",))
    found = due(request, [], FAILED, [TEAM, open_channel, MAIL])
    assert {(one.channel, one.to): one.log_lines for one in found} == {
        ("team", ""): False,
        ("open", ""): True,
        ("mail", "ann@example.org"): True,
        ("mail", "bob@example.org"): False,
    }


def test_on_trims_a_channel_and_notify_on_the_owner() -> None:
    quiet = TEAM.replace(on=("failed", "lost"))
    request = OWNED.replace(notify_on=("failed",), notify=("bob@example.org",))
    assert told_of(due(request, [STARTED], FAILED, [quiet, MAIL])) == [
        ("started", "mail", "bob@example.org"),
        ("failed", "team", ""),
        ("failed", "mail", "ann@example.org"),
        ("failed", "mail", "bob@example.org"),
    ]
    assert due(OWNED.replace(notify_on=()), [STARTED], FAILED, [MAIL]) == []


@pytest.mark.parametrize(
    ("final", "created_at", "is_told"),
    [
        (FAILED.replace(duration_s=599.0), "", False),
        (FAILED.replace(duration_s=600.0), "", True),
        # No clock saw the command whole: by the calendar, from its start or its acceptance.
        (FAILED.replace(duration_s=None, finished_at="2026-01-02T03:14:06.000Z"), "", True),
        (FAILED.replace(duration_s=None, finished_at="2026-01-02T03:14:05.000Z"), "", False),
        (FAILED.replace(duration_s=None, started_at=None), "2026-01-02T02:00:00.000Z", True),
        (FAILED.replace(duration_s=None, started_at=None), AT, False),
        # Not known to be short, so told.
        (FAILED.replace(duration_s=None, started_at=None), "", True),
    ],
)
def test_a_channel_for_long_runs_hears_of_no_other(final: st.Final, created_at: str, is_told: bool) -> None:
    long_only = TEAM.replace(min_duration_s=600.0)
    found = told_of(due(REQUEST, [STARTED], final, [long_only], created_at=created_at))
    assert found == ([("failed", "team", "")] if is_told else [])


def test_a_channel_that_is_not_the_teams_hears_of_runs_that_name_it() -> None:
    own = TEAM.replace(name="own", team=False)
    assert recipients(REQUEST, [own]) == []
    assert [one.channel.name for one in recipients(REQUEST.replace(notify=("own",)), [own])] == ["own"]


def test_mail_goes_to_each_address_by_itself_and_to_nobody_twice() -> None:
    lists = MAIL.replace(team=True, settings={"to": "team@example.org, Ann@example.org"})
    request = OWNED.replace(notify=("mail", "team@example.org"), notify_on=("failed",))
    found = recipients(request, [lists])
    assert [(one.to, one.log_lines) for one in found] == [
        ("team@example.org", False),
        ("Ann@example.org", True),
    ]
    assert "started" in found[1].on  # as one of the team; `notify_on` is the owner's own wish


def test_without_a_channel_nobody_is_told() -> None:
    assert recipients(OWNED.replace(notify=("bob@example.org", "team")), []) == []


def test_who_cannot_be_reached_is_known_before_the_launch() -> None:
    assert unknown_names(["team", "bob@example.org", "taem"], [TEAM, MAIL]) == ["taem"]
    assert unknown_names(["bob@example.org"], [TEAM]) == ["bob@example.org"]


def test_a_start_is_told_as_it_was() -> None:
    run = told.STARTED.run
    assert (run["status"], run["exit_code"], run["cause"], run["finished_at"]) == (
        "running",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("host", "path", "command"),
    [
        ("big", "/home/a/output.log", "ssh big tail -n 100 /home/a/output.log"),
        ("local", "/home/a b/output.log", "tail -n 100 '/home/a b/output.log'"),
        ("big", "/home/a b/x", """ssh big 'tail -n 100 '"'"'/home/a b/x'"'"''"""),
        ("ssh://ann@big:22", "/l", "ssh ssh://ann@big:22 tail -n 100 /l"),
    ],
)
def test_the_plain_form_is_quoted_for_both_shells(host: str, path: str, command: str) -> None:
    assert notices.ssh_command(host, path) == command


def test_json_holds_lines_of_the_log_only_where_they_may_go() -> None:
    shut, wide = to_json(told.FAILED, False), to_json(told.FAILED, True)
    assert list(shut) == ["schema", "event_id", "kind", "run"]
    assert "tail" not in shut["run"]
    assert "error_line" not in shut["run"]
    assert wide["run"]["tail"] == list(told.TAIL)
    assert wide["run"]["error_line"] == "KeyError: 'price'"
    assert shut["run"]["log_command"] == "dobby logs shop/etl -H big --run 20260102T030405-abcdef0123"
    assert shut["run"]["last_success"]["commits_ago"] == 3
