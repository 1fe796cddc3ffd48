"""Send files of a run: its outputs, or paths in its job's sandbox, as one tar stream."""

from __future__ import annotations

import os

from dobby.agent import conclude, rows, variables
from dobby.core import protocol
from dobby.core import request as rq
from dobby.core.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call
    from dobby.agent.store import Stored


def run(call: Call) -> dict[str, Any]:
    """`args` as `rows.target` takes them, with `paths` (relative to the sandbox; none: the
    outputs) and `plan` (only answer). Answers `run`, `root` and `paths` below it, and the
    `bytes` and `files` that they hold, and whether `rsync` is here; unless `plan`, sends a tar stream (POSIX) as `data`."""
    stored = rows.target(call.home, call.args)
    paths = [rq.check_inside(p.rstrip("/"), "path") for p in call.args.get("paths", ())]
    root = stored.run.job.sandbox if paths else stored.run.outputs
    if paths:
        _check_sandbox(stored, root, paths)
    elif not os.path.isdir(root):
        raise NotFound(f"run {stored.run.run_id} has no outputs any more")
    names = paths or sorted(os.listdir(root))
    files, size = _measure(root, names)
    if not call.args.get("plan"):
        _send(call, root, names)
    return {
        **{"run": rows.row(stored), "root": root, "paths": names, "files": files, "bytes": size},
        "rsync": bool(variables.find("rsync", os.environ)),
    }


def _check_sandbox(stored: Stored, root: str, paths: list[str]) -> None:
    if conclude.read_holder(stored.run.job) != stored.run.run_id:
        raise UsageError(
            f"the sandbox of {stored.request.label} is another run's by now",
            "leave --run out for the sandbox as it is, or fetch that run's outputs",
        )
    for path in paths:
        real = os.path.realpath(f"{root}/{path}")
        if not os.path.lexists(f"{root}/{path}"):
            raise NotFound(f"there is no {path} in the sandbox of {stored.request.label}")
        if not (real + "/").startswith(os.path.realpath(root) + "/"):
            raise UsageError(f"{path} leads out of the sandbox")


def _measure(root: str, names: list[str]) -> tuple[int, int]:
    files = size = 0
    for name in names:
        path = f"{root}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            for base, _, inside in os.walk(path):
                files += len(inside)
                size += sum(os.lstat(f"{base}/{one}").st_size for one in inside)
        else:
            files, size = files + 1, size + os.lstat(path).st_size
    return files, size


def _send(call: Call, root: str, names: list[str]) -> None:
    import tarfile

    class Sink:
        """tarfile's file object: each block goes out as a reply."""

        def write(self, data: bytes) -> int:
            call.wire.reply(protocol.DATA, bytes(data))
            return len(data)

    with tarfile.open(fileobj=Sink(), mode="w|", bufsize=1 << 18, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name in names:
            tar.add(f"{root}/{name}", arcname=name, filter=_plain)


def _plain(member: Any) -> Any:
    """Files, directories and links; owners are no business of the laptop's."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None
