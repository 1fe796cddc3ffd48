"""What this host is like, as `host check` tells it: plain values; core/health.py judges them."""

from __future__ import annotations

import os
import sys
import time

from dobby.agent import admission, crontab, durable, hostgit, locks, outbox, room, store, variables
from dobby.agent.sizes import size_of
from dobby.core import layout
from dobby.core.errors import DobbyError
from dobby.core.health import PARTS
from dobby.core.host_settings import HostSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIZES_S = 5.0  # for looking how much disk all is
_ENGINES = ("podman", "docker", "apptainer", "singularity")


def of_python() -> dict[str, Any]:
    return {"path": sys.executable, "version": ".".join(map(str, sys.version_info[:3]))}


def of_settings(home: str) -> tuple[HostSettings, dict[str, Any], dict[str, str]]:
    """The settings (the defaults, where they cannot be read), the fact about them, and a run's
    variables."""
    fact: dict[str, Any] = {"error": "", "hint": "", "warnings": [], "profile": "", "keeps": {}}
    try:
        settings = admission.read_settings(home)
        fact["warnings"] = list(settings.warnings)
        fact["keeps"] = {"last": settings.keep_last, "days": settings.keep_days}
    except (DobbyError, OSError) as error:
        settings = HostSettings()
        fact.update(error=str(error), hint=getattr(error, "hint", ""))
    profile = os.path.expanduser(settings.profile)
    if profile and not os.path.isfile(profile):
        fact["profile"] = f"{profile} is not there"
    try:
        env = variables.of_host(settings, os.environ)
    except OSError as error:
        fact["profile"] = str(error)
        env = variables.of_host(settings.replace(profile=""), os.environ)
    return settings, fact, env


def of_git(settings: HostSettings) -> dict[str, Any]:
    try:
        path, version = hostgit.check_git(hostgit.env_with(settings))
    except DobbyError as error:
        return {"error": error.message, "hint": error.hint}
    return {"path": path, "version": version}


def of_home(home: str, settings: HostSettings) -> dict[str, Any]:
    """A file is really written and synced, and removed again."""
    path, error = f"{home}/.check-{os.getpid()}-{os.urandom(4).hex()}", ""
    try:
        durable.write_new(path, bytes(4096))
    except OSError as failure:
        error = failure.strerror or str(failure)
    finally:
        _unlink(path)
    return {
        "path": home,
        "filesystem": filesystem(home),
        "error": error,
        "disk": room.of_disk(home),
        "least_mb": settings.min_free_mb,
    }


def of_locks(home: str) -> dict[str, Any]:
    """A second process holds a lock that we may not get, and at its death we get it."""
    path = f"{home}/.check-{os.getpid()}-{os.urandom(4).hex()}.lock"
    try:
        error = _try_lock(path)
    except OSError as failure:
        error = failure.strerror or str(failure)
    finally:
        _unlink(path)
    return {"filesystem": filesystem(home), "error": error}


def _try_lock(path: str) -> str:
    """What is wrong, "" when nothing is."""
    ready_r, ready_w = os.pipe()
    end_r, end_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end_w)
            said = b"held" if locks.take(path, wait=False) is not None else b"it is held by nobody"
        except OSError as error:
            said = (error.strerror or str(error)).encode()
        try:
            os.write(ready_w, said)
            os.read(end_r, 1)  # until the other has looked, or is gone
        finally:
            os._exit(0)
    os.close(ready_w)
    os.close(end_r)
    try:
        said = os.read(ready_r, 200)
        shared = said == b"held" and not locks.is_held(path)
    finally:
        os.close(ready_r)
        os.close(end_w)
        os.waitpid(pid, 0)
    if said != b"held":
        return said.decode("utf-8", "replace") or "the process that was to hold one died"
    if shared:
        return "two processes can hold the same lock"
    fd = locks.take(path, wait=False)
    if fd is None:
        return "a lock outlives its holder"
    locks.release(fd)
    return ""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # never made, or on a disk that went read-only
        return


def filesystem(path: str) -> str:
    """The kind, such as ext4 or nfs4; "" where the system does not say (proc_pid_mountinfo(5))."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo") as file:
            for line in file:
                fields = line.split()
                if fields[2] == wanted:
                    return fields[fields.index("-") + 1]
    except (OSError, ValueError, IndexError):
        return ""
    return ""


def of_cron(home: str) -> dict[str, Any]:
    return crontab.state(home)


def of_tools(env: dict[str, str]) -> dict[str, str]:
    engine = next((path for path in (variables.find(name, env) for name in _ENGINES) if path), "")
    return {"uv": variables.find("uv", env), "rsync": variables.find("rsync", env), "container": engine}


def of_agent(home: str) -> dict[str, Any]:
    folder = os.path.dirname(layout.agent(home, "x"))
    own = os.path.abspath(f"{os.path.dirname(__file__)}/../..")
    kept = [name for name in os.listdir(folder) if os.path.isdir(f"{folder}/{name}")]
    return {"digest": os.path.basename(own), "kept": len(kept), "bytes": size_of(folder)}


def of_alive(home: str) -> list[str]:
    """Runs that are not final, by what is marked in the outbox: no other is looked at."""
    found = []
    for run in outbox.runs(home):
        try:
            stored = store.load(run)
        except DobbyError:  # `ps` names it
            continue
        if stored is not None and stored.final is None:
            found.append(f"{run.project}/{run.label}")
    return found


def of_usage(home: str) -> dict[str, Any]:
    """Bytes on disk of each project, as far as SIZES_S go."""
    deadline = time.monotonic() + SIZES_S
    projects = []
    for name in store.projects(home):
        project = layout.Project(home=home, project=name)
        sizes = dict.fromkeys(PARTS, 0)
        sizes["cache"] = size_of(project.cache, deadline) + size_of(f"{project.root}/submodules", deadline)
        for job in store.jobs(home, name):
            sizes["sandboxes"] += size_of(job.sandbox, deadline)
            sizes["environments"] += size_of(job.environment, deadline)
            for run in map(job.run, store.run_ids(job)):
                sizes["logs"] += size_of(run.log, deadline)
                sizes["outputs"] += size_of(run.outputs, deadline)
                sizes["left"] += size_of(run.left, deadline)
        projects.append({"project": name, **sizes})
    return {"projects": projects, "whole": time.monotonic() < deadline}
