"""Who hears how a run goes: said at its launch where that may surprise."""

from __future__ import annotations

from dobby.client import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def say_who_is_told(
    environ: Mapping[str, str], host: str, audience: Mapping[str, Any], say: Callable[[str], None]
) -> None:
    """`audience` is the agent's: `channels` (how many the host has), `told` (names of those that
    are told of this run), `unknown` (whom the run names in vain). That a host tells nobody is
    said once, and again when that had changed in between."""
    if audience["unknown"]:
        say(
            f"warning: {' and '.join(audience['unknown'])} cannot be told: {host} has no channel for that; "
            f"`dobby channel list -H {host}` shows those it has"
        )
    if audience["told"]:
        state.forget_note(environ, "untold", host)
    elif state.note_once(environ, "untold", host) and not audience["unknown"]:
        say(_nobody(host, audience["channels"]))


def _nobody(host: str, channels: int) -> str:
    if channels:
        return (
            f"nobody will be told how runs on {host} go: none of its channels is a team's, and no address "
            "is known; `--notify WHO`, or `email` in your settings, changes that"
        )
    return (
        f"nobody will be told how runs on {host} go: it has no channel; "
        f"`dobby channel add team slack -H {host}` makes one (or email, webhook, apprise)"
    )
