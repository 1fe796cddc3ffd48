"""The user's own file of settings: the one part of config that touches the disk."""

from __future__ import annotations

import os

from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def user_path(environ: Mapping[str, str]) -> str:
    """$DOBBY_CONFIG, else config.toml under $XDG_CONFIG_HOME/dobby or ~/.config/dobby."""
    if environ.get("DOBBY_CONFIG"):
        return environ["DOBBY_CONFIG"]
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME') or os.path.expanduser('~')}/.config"
    return f"{home}/dobby/config.toml"


def load_user_file(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Path and text of the user's file, None where there is none. Raises UsageError."""
    path = user_path(environ)
    try:
        with open(path, encoding="utf-8", newline="") as file:  # as it is, so that it can be edited
            return path, file.read()
    except FileNotFoundError:
        if environ.get("DOBBY_CONFIG"):
            raise UsageError(f"$DOBBY_CONFIG names {path}, which does not exist") from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings in {path} cannot be read: {error}") from None
