"""Send files of a run: its outputs, or paths in its job's sandbox, as one tar stream."""

from __future__ import annotations

import os

from dobby.agent import conclude, rows, variables
from dobby.core import protocol
from dobby.core.errors import NotFound, UsageError
from dobby.core.names import check_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarInfo
    from typing import Any, Optional

    from dobby.agent.main import Call
    from dobby.agent.store import Stored


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them, with `paths` (relative to the sandbox; none: the
    outputs) and `plan` (only answer). Answers `run`, `root` and `paths` below it, the `bytes` and
    `files` that they hold, the links that lead `outside`, and whether `rsync` is here; unless
    `plan`, sends a tar stream (POSIX) as `data`."""
    stored = rows.target(call.home, call.args)
    paths = [check_inside(path, "path").rstrip("/") for path in call.args.get("paths", ())]
    root = stored.run.job.sandbox if paths else stored.run.outputs
    if paths:
        names = _in_sandbox(stored, root, paths)
    elif os.path.isdir(root):
        names = sorted(os.listdir(root))
    else:
        names = []
    if not names and stored.final is not None and not os.path.lexists(stored.run.log):
        raise NotFound(
            f"run {stored.run.run_id} of {stored.request.label} has neither log nor outputs any more",
            "`dobby clean` removes them, and by keep_last and keep_days the host itself",
        )
    if not names:
        raise NotFound(
            f"run {stored.run.run_id} of {stored.request.label} kept no outputs",
            "what --output matches and what is written into $DOBBY_OUTPUTS is kept; or name paths of "
            "the sandbox",
        )
    found = _Measured(root, names)
    if not call.args.get("plan"):
        _send(call, root, names)
    return {
        "run": rows.row(stored),
        "root": root,
        "paths": names,
        "outside": found.outside,
        "files": found.files,
        "bytes": found.bytes,
        "rsync": bool(variables.find("rsync", os.environ)),
    }


def _in_sandbox(stored: Stored, root: str, paths: list[str]) -> list[str]:
    """The paths, normal; "." is all that is checked out. Raises NotFound, UsageError."""
    if conclude.read_holder(stored.run.job) != stored.run.run_id:
        raise UsageError(
            f"the sandbox of {stored.request.label} is another run's by now",
            "leave --run out for the sandbox as it is, or fetch that run's outputs",
        )
    names = []
    for path in map(os.path.normpath, paths):
        if not os.path.lexists(f"{root}/{path}"):
            raise NotFound(f"there is no {path} in the sandbox of {stored.request.label}")
        above = os.path.realpath(os.path.dirname(f"{root}/{path}"))
        if not f"{above}/".startswith(os.path.realpath(root) + "/"):
            raise UsageError(f"{path} leads out of the sandbox")
        names += sorted(n for n in os.listdir(root) if n != ".git") if path == "." else [path]
    return names


class _Measured:
    """What lies under `names`: files with their bytes, and the links that lead outside, which
    mean nothing on the laptop."""

    def __init__(self, root: str, names: list[str]) -> None:
        self.files = self.bytes = 0
        self.outside: list[str] = []
        self._root = root
        for name in names:
            path = f"{root}/{name}"
            self._add(path)
            if os.path.isdir(path) and not os.path.islink(path):
                for base, folders, files in os.walk(path):
                    for inside in (*folders, *files):
                        self._add(f"{base}/{inside}")

    def _add(self, path: str) -> None:
        if os.path.islink(path):
            if not leads_inside(self._root, path):
                self.outside.append(os.path.relpath(path, self._root))
                return
        elif not os.path.isfile(path):
            return
        self.files += 1
        self.bytes += os.lstat(path).st_size


def leads_inside(root: str, link: str) -> bool:
    """Whether the text of a link, which may dangle, stays below `root`."""
    target = os.readlink(link)
    meant = os.path.normpath(os.path.join(os.path.dirname(link), target))
    return not target.startswith("/") and meant.startswith(f"{root}/")


def _send(call: Call, root: str, names: list[str]) -> None:
    import tarfile

    class Sink:
        """tarfile's file object: each block goes out as a reply."""

        def write(self, data: bytes) -> int:
            call.wire.reply(protocol.DATA, bytes(data))
            return len(data)

    def chosen(member: TarInfo) -> Optional[TarInfo]:
        """Files, directories and links; owners are no business of the laptop's."""
        if member.issym() and not leads_inside(root, f"{root}/{member.name}"):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None

    with tarfile.open(fileobj=Sink(), mode="w|", bufsize=1 << 18, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name in names:
            tar.add(f"{root}/{name}", arcname=name, filter=chosen)
