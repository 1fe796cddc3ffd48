"""Who else on the host may read a run: `readable_by` of its settings.

Log, outputs and sandbox are opened, and the way to them; what dobby itself writes (requests, events,
settings, channels' secrets) is 0600 whatever this says. dobby's own directory can only be passed
through. A run takes its mode at its start; its directory's mode then says what holds for it.
"""

from __future__ import annotations

import os
import stat

from dobby.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.host_settings import HostSettings

_BITS = {"": 0, "group": 0o050, "all": 0o055}


def open_run(run: layout.Run, settings: HostSettings, log_fd: int) -> None:
    """Open the way to a run, or close it again; from now on this process and its children create
    files that fit (umask)."""
    bits = _BITS[settings.readable_by]
    project = run.job.of_project
    if bits and os.path.exists(layout.settings(run.home)):  # by hand it may have been written wider
        _set(layout.settings(run.home), 0o600)
    _set(run.home, 0o700 | bits & 0o011)
    for path in (os.path.dirname(project.root), project.root, project.jobs, run.job.root, run.job.runs):
        _set(path, 0o700 | bits)
    _set(run.root, 0o700 | bits)
    _set(run.outputs, 0o700 | bits)
    os.fchmod(log_fd, 0o600 | bits & 0o044)
    os.umask(0o077 & ~bits)


def open_tree(path: str, run: layout.Run) -> None:
    """Directories at and below `path` as the run's own directory is; files have the mode that the
    job gave them."""
    bits = os.stat(run.root).st_mode & 0o055
    if not bits:
        return
    for base, _, _ in os.walk(path):
        mode = stat.S_IMODE(os.stat(base).st_mode)
        _set(base, mode | bits)


def open_top(path: str, run: layout.Run) -> None:
    """A directory that was made 0700, and what is in it with the umask."""
    _set(path, 0o700 | os.stat(run.root).st_mode & 0o055)


def _set(path: str, mode: int) -> None:
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        os.chmod(path, mode)
