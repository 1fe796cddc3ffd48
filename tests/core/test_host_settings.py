"""core/host_settings.py: the host's config.toml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dobby.config import layers
from dobby.config.table import SETTINGS, USER
from dobby.core import host_settings
from dobby.core.errors import UsageError
from dobby.core.host_settings import Channel, HostSettings, parse_host_settings
from dobby.core.status import NOTICE_KINDS

EXAMPLE = """\
python = "/opt/python/bin/python3"
path = ["/opt/uv/bin"]
profile = "~/.profile"
readable_by = "group"
max_running = 4
keep_last = 10
keep_days = 30
stall_after = "15m"
[variables]
SSL_CERT_FILE = "/etc/ssl/ours.pem"
[channel.team]
kind = "slack"
webhook = "https://hooks.example/x"
"""


def test_an_empty_file_gives_the_defaults() -> None:
    settings = parse_host_settings("")
    assert settings == HostSettings()
    assert settings.path == ("~/.local/bin", "~/.cargo/bin")
    assert settings.max_running is None
    assert settings.variables == {}


def test_every_key_is_read() -> None:
    settings = parse_host_settings(EXAMPLE)
    assert settings.to_dict() == {
        "python": "/opt/python/bin/python3",
        "path": ("/opt/uv/bin",),
        "profile": "~/.profile",
        "variables": {"SSL_CERT_FILE": "/etc/ssl/ours.pem"},
        "readable_by": "group",
        "max_running": 4,
        "keep_last": 10,
        "keep_days": 30,
        "stall_after_s": 900.0,
        "min_free_mb": 200,
        "channels": {
            "team": Channel(name="team", kind="slack", settings={"webhook": "https://hooks.example/x"})
        },
        "warnings": (),
    }


def test_an_unknown_key_is_a_warning_with_the_nearest() -> None:
    settings = parse_host_settings("max_runing = 4\nkeep_last = 2\n[zzz]\na = 1")
    assert settings.keep_last == 2
    assert settings.max_running is None
    assert "'max_runing'" in settings.warnings[0]
    assert "did you mean max_running?" in settings.warnings[0]
    assert "known: python" in settings.warnings[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_running = 'x'", ["max_running", "whole number"]),
        ("max_running = true", ["max_running", "whole number"]),
        ("readable_by = 'world'", ["readable_by", '"group" or "all"']),
        ("keep_days = -1", ["keep_days", "whole number"]),
        ("path = 3", ["path", "list of texts"]),
        ("python = ['x']", ["python", "text"]),
        ("stall_after = 'soon'", ["stall_after", "duration"]),
        ("variables = 1", ["variables", "table"]),
        ("[variables]\nA = 1", ["variables", "A", "text"]),
        ("[variables]\n'A-B' = 'x'", ["variables", "A-B"]),
        ("[variables]\nDOBBY_HOME = 'x'", ["variables", "DOBBY_HOME"]),
        ("channel = 'y'", ["channel", "[channel.NAME]"]),
        ("[channel.x]\nwebhook = 'y'", ["channel.x", "kind"]),
        ("[channel.'a b']\nkind = 'slack'", ["channel", "'a b'"]),
        ("[channel.x]\nkind = 'slack'\non = ['fialed']", ["channel.x", "on", "did you mean failed?"]),
        ("[channel.x]\nkind = 'slack'\nlog_lines = 'yes'", ["channel.x", "log_lines", "true or false"]),
        ("[channel.x]\nkind = 'slack'\nmin_duration = 'long'", ["channel.x", "min_duration", "duration"]),
        ("a = hello", ["line 1", "TOML"]),
    ],
)
def test_what_is_wrong_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_host_settings(text)
    assert caught.value.exit_code == 2
    for word in ["config.toml on the host", *words]:
        assert word in caught.value.message


def test_a_channel_has_keys_of_every_kind_and_its_own() -> None:
    text = """\
[channel.bad-news]
kind = "webhook"
url = "https://example/secret"
on = ["failed", "lost"]
min_duration = "10m"
log_lines = true
team = false
"""
    channel = parse_host_settings(text).channels["bad-news"]
    assert channel.to_dict() == {
        "name": "bad-news",
        "kind": "webhook",
        "on": ("failed", "lost"),
        "min_duration_s": 600.0,
        "log_lines": True,
        "team": False,
        "settings": {"url": "https://example/secret"},
    }


def test_a_channel_is_told_all_and_is_the_teams_unless_it_says_otherwise() -> None:
    text = (
        "[channel.a]\nkind = 'slack'\n[channel.b]\nkind = 'email'\n[channel.c]\nkind = 'email'\nto = 'x@y'"
    )
    channels = parse_host_settings(text).channels
    assert channels["a"].on == NOTICE_KINDS
    assert channels["a"].min_duration_s == 0
    assert not channels["a"].log_lines
    assert [channels[name].team for name in "abc"] == [True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "channel = 'c4nary'",
        "[channel]\nx = 'c4nary'",
        "[channel.x]\nkind = 'slack'\ntoken = 'c4nary'\non = ['x']",
    ],
)
def test_no_message_quotes_what_may_be_a_secret(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_host_settings(text)
    assert "c4nary" not in caught.value.message + caught.value.hint


def test_every_key_stands_in_the_docs() -> None:
    page = Path(__file__).parents[2].joinpath("docs/hosts.md").read_text()
    own = [setting.key for setting in SETTINGS if setting.places == (USER,)]
    mail = {"email", "notify_on"}  # of notices, in a page of their own
    documented = set(re.findall(r"`\[?(\w+)", page))
    assert {*host_settings._READERS, *layers._HOST_KEYS, *own} - mail <= documented
