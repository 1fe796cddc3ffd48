"""An error that nobody foresaw: told in a sentence, with the traceback kept in a private file."""

from __future__ import annotations

import os
import time

from dobby.core.errors import Bug
from dobby.core.settings import shown_value


def as_bug(error: Exception) -> Bug:
    """What to tell of `error`; its traceback goes to a new file in $XDG_STATE_HOME/dobby (0600)."""
    what = f"{type(error).__name__}: {shown_value(str(error), 200)}"
    try:
        hint = f"please report it with {_keep(error)}"
    except OSError as refused:
        hint = f"the traceback could not be kept: {refused}"
    return Bug(f"this is a bug of dobby itself ({what})", hint)


def _keep(error: Exception) -> str:
    import traceback

    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    folder = f"{base}/dobby"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = f"{folder}/bug-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.txt"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(traceback.format_exception(error))
    return path
