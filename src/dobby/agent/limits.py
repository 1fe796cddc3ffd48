"""What a command may use (`--memory`, `--cpus`), and what it has used.

A limit is a cgroup's, and where that is to be had differs:

    a scope of the run's own      the account has a user manager, which delegates the controllers
    a cgroup beside ours          version 2, where this account may write (cgroups(7))
    a cgroup beside ours          version 1, for root: one in each controller's hierarchy

The command alone is in it: when memory runs out, supervisor and wrapper live to tell.
"""

from __future__ import annotations

import os

from dobby.agent import cgroups
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Optional

    from dobby.core.request import Request

PERIOD_US = 100_000  # the kernel's default
CARRIERS_BYTES = 64 << 20  # for supervisor and wrapper, which are in the scope too
MORE_LIKELY = 300  # where all of the host's memory runs out: of a thousand, which is "this one first"


def check(request: Request) -> None:
    """Raises DobbyError where this host cannot limit what is to be limited: nothing was started."""
    wanted = _wanted(request)
    if not wanted or _manager_gives(wanted):
        return
    cgroups.remove(_make(request, f"{request.run_id}.trial"))


def scope_properties(request: Request) -> list[str]:
    """For systemd-run(1), which then enables the controllers down to the scope. The command's own
    cgroup in it has the exact limit."""
    words = []
    if request.memory_bytes is not None:
        words += ["-p", f"MemoryMax={request.memory_bytes + CARRIERS_BYTES}"]
    if request.cpus is not None:
        words += ["-p", f"CPUQuota={max(1, round(request.cpus * 100))}%"]
    return words


def fence(request: Request, run_id: str, scoped: str) -> tuple[str, ...]:
    """The cgroups that the command is to enter, with its limits set. `scoped` is the one in the
    run's own scope, "" where it has none. Raises DobbyError where a limit cannot be set."""
    wanted = _wanted(request)
    if wanted and scoped:
        try:
            cgroups.enable(os.path.dirname(scoped), wanted)
            _set(request, dict.fromkeys(wanted, scoped))
            return (scoped,)
        except OSError:  # not delegated after all
            return (scoped, *_make(request, run_id))
    made = _make(request, run_id) if wanted else ()
    return (scoped, *made) if scoped else made


def stand_back(request_nice: int) -> None:
    """In the command's process, before it becomes the command."""
    if request_nice:
        os.nice(request_nice)
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            score = min(1000, int(file.read()) + MORE_LIKELY)
            file.seek(0)
            file.write(str(score))
    except (OSError, ValueError):  # no such thing here
        return


def _wanted(request: Request) -> list[str]:
    asked = {"memory": request.memory_bytes, "cpu": request.cpus}
    return [controller for controller, limit in asked.items() if limit is not None]


def _manager_gives(wanted: Sequence[str]) -> bool:
    """Whether the account's user manager has these controllers to give (Delegate= of user@.service)."""
    from dobby.agent import start

    if not start.scope_argv("trial"):
        return False
    uid = os.getuid()
    given = cgroups.controllers(f"{cgroups.MOUNTS[0]}/user.slice/user-{uid}.slice/user@{uid}.service")
    return set(wanted) <= given


def _make(request: Request, run_id: str) -> tuple[str, ...]:
    wanted = _wanted(request)
    parents = cgroups.parents(wanted)
    if parents is None:
        raise DobbyError(
            f"{os.uname().nodename} cannot limit a run's {' and '.join(_NAMES[w] for w in wanted)}: this "
            "account has no user manager that delegates it, and may make no cgroup of its own",
            "leave --memory and --cpus out (and out of the settings), or have the account's user manager "
            "started (loginctl enable-linger)",
        )
    made = {controller: f"{parent}/dobby-{run_id}" for controller, parent in parents.items()}
    paths = tuple(dict.fromkeys(made.values()))
    try:
        for path in paths:
            os.makedirs(path, 0o755, exist_ok=True)
        _set(request, made)
    except OSError as error:
        cgroups.remove(paths)
        raise DobbyError(f"{os.uname().nodename} did not set a run's limits: {error}") from None
    return paths


_NAMES = {"memory": "memory", "cpu": "processors"}


def _set(request: Request, places: dict[str, str]) -> None:
    """Raises OSError."""
    if request.memory_bytes is not None:
        cgroups.limit_memory(places["memory"], request.memory_bytes)
    if request.cpus is not None:
        cgroups.limit_cpu(places["cpu"], int(request.cpus * PERIOD_US), PERIOD_US)


def usage(fences: Sequence[str]) -> dict[str, Any]:
    """What the command used, asked by its parent once it has ended: `peak_memory_bytes` of its
    cgroup, else of its largest process; `cpu_s` of all that has ended, None where unknown."""
    import resource

    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 if os.uname().sysname == "Darwin" else 1024  # getrusage(2) differs
    peaks: list[Optional[int]] = [cgroups.peak_memory(path) for path in fences]
    whole = [peak for peak in peaks if peak]
    times = [seconds for seconds in map(cgroups.cpu_s, fences) if seconds is not None]
    return {
        "peak_memory_bytes": max(whole) if whole else (spent.ru_maxrss * scale or None),
        "cpu_s": round(max([*times, spent.ru_utime + spent.ru_stime]), 3),
    }
