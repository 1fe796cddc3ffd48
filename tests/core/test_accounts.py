"""The one word of a user's in the remote command, and what sudo's refusals mean."""

from __future__ import annotations

import json

import pytest

from dobby.config import resolve
from dobby.core import accounts, protocol
from dobby.core.errors import UsageError


@pytest.mark.parametrize(
    "name", ["-u", "#0", "a b", "a;b", "$x", "a'b", "é", "0", "x" * 33, "a\n", "~root"]
)
def test_no_other_word_gets_into_the_remote_command(name: str) -> None:
    with pytest.raises(UsageError, match="no name of an account"):
        accounts.prefix(name)
    with pytest.raises(UsageError, match="become"):
        resolve(user_file=("/config.toml", f"[host.gpu]\nbecome = {json.dumps(name)}"))


def test_the_command_is_constant_but_for_the_account() -> None:
    whole = accounts.as_account(protocol.BOOTSTRAP, "dobby")
    assert whole == f"cd /; exec sudo -n -u dobby -H -- {protocol.BOOTSTRAP[len('exec ') :]}"
    assert accounts.as_account(protocol.BOOTSTRAP, "") == protocol.BOOTSTRAP


@pytest.mark.parametrize(
    ("said", "code", "message", "hint"),
    [
        ("sudo: a password is required\n", 1, "without a password (sudo: a pass", "NOPASSWD: ALL"),
        ("", 1, "(it said nothing)", "NOPASSWD: ALL"),
        ("hello\nsudo: unknown user dobby\nsudo: plugin failed\n", 1, "no account dobby", "useradd"),
        ("bash: sudo: command not found\n", 127, "host gpu has no sudo", "install"),
    ],
)
def test_why_sudo_refuses(said: str, code: int, message: str, hint: str) -> None:
    found = accounts.what_sudo_said("gpu", "dobby", said, code)
    assert message in found[0]
    assert hint in found[1]


def test_a_shared_account_s_labels_begin_with_the_user_s_name() -> None:
    from dobby.client.asking import label_of

    text = '[host.one]\nbecome = "dobby"\n[host.two]\nshared = true\n[host.three]\n'
    for host, label in (("one", "ann-fix-it"), ("two", "ann-fix-it"), ("three", "fix-it"), ("x", "fix-it")):
        options = resolve(flags={"host": host}, user_file=("/config.toml", text))
        assert label_of(options, "fix/it", "", "ann") == label
        assert label_of(options, ".", "fix/it", "ann") == label
        assert label_of(options.replace(label="given"), "main", "", "ann") == "given"
