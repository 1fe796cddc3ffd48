"""Working as another account than the one that logs in: `become` of [host.NAME], through sudo.

The account's name is the only word of a user's in the remote command, and it is let through only
where no shell would see anything but a word in it.
"""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.lazy import regex
from dobby.core.names import shown

# useradd(8) takes no other: a first "-" would be an option to sudo, a "#" a number.
_NAME = regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
_UNKNOWN = ("unknown user", "does not exist")
_NOT_FOUND = 127


def check_account(name: str) -> str:
    """`name` when it may stand in the remote command ("" is "as who logs in"). Raises UsageError."""
    if name and not _NAME.match(name):
        raise UsageError(f"account {shown(name)} is no name of an account", "give one such as dobby")
    return name


def prefix(account: str) -> str:
    """Words for any login shell (sh, fish, tcsh) in front of a program that is to run as
    `account`, "" where that is who logs in. Not from the home of who logs in: it may be closed to
    the account. -n: sudo never asks; -H: ~/.dobby is the account's own (sudo(8))."""
    return f"cd /; exec sudo -n -u {check_account(account)} -H -- " if account else ""


def as_account(command: str, account: str) -> str:
    """The remote command "exec PROGRAM …", for this account."""
    return prefix(account) + command.removeprefix("exec ") if account else command


def what_sudo_said(host: str, account: str, said: str, code: int) -> tuple[str, str]:
    """Message and hint where the command never became the account's. `said` is sudo's stderr."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    unknown = [line for line in lines if any(word in line for word in _UNKNOWN)]
    from dobby.core.harmless import one_line, shortened

    words = shortened(one_line((unknown or lines or [""])[-1]), 160)
    if code == _NOT_FOUND:
        return (
            f"host {host} has no sudo, through which to become {account}",
            "take become out, or install it",
        )
    if unknown:
        return (
            f"host {host} has no account {account} ({words})",
            f"make it there (as root: useradd -m {account}), or mend become in [host.{host}]",
        )
    return (
        f"host {host}: sudo does not let you work as {account} without a password "
        f"({words or 'it said nothing'})",
        f"root there writes `YOU ALL=({account}) NOPASSWD: ALL` into /etc/sudoers.d/dobby, with the name "
        "that you log in by for YOU, or %GROUP",
    )
