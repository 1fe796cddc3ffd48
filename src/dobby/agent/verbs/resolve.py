"""Where the caller has no checkout: fetch a revision from its URL, with the host's own access."""

from __future__ import annotations

import os

from dobby.agent import durable, objects, spawn, store
from dobby.core import layout
from dobby.core.errors import DobbyError, UsageError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call

_PROTOCOLS = "file:git:http:https:ssh"
_FORMAT = "%H%x00%T%x00%s"


def run(call: Call) -> dict[str, Any]:
    """`args`: `repo` (a URL), `revision`, `project`. Answers `commit branch subject roots` and
    `files`: the texts of `pyproject.toml` and `dobby.toml` where the commit has them."""
    url, revision = call.args["repo"], call.args["revision"]
    if url.startswith("-") or "::" in url.partition("/")[0] or revision.startswith("-"):
        raise UsageError(f"{shown(url)} {shown(revision)} is no URL and revision that git may be given")
    job = store.canonical(call.home, call.args["project"], "x")
    project = layout.Project(home=call.home, project=job.project)
    durable.make_dirs(project.root)
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "LC_ALL": "C.UTF-8"}
    objects.ensure_cache(project.cache, "sha1", env)
    return {**_fetch(project.cache, url, revision, env), "project": job.project}


def _fetch(cache: str, url: str, revision: str, env: dict[str, str]) -> dict[str, Any]:
    names = _git(cache, env, "ls-remote", "--", url, f"refs/heads/{revision}", f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}")
    listed = [line.split("\t", 1) for line in names.splitlines()]
    branch = revision if any(ref == f"refs/heads/{revision}" for _, ref in listed) else ""
    wanted = f"refs/heads/{revision}" if branch else (listed[0][1].removesuffix("^{}") if listed else revision)
    keep = f"refs/dobby/fetched/{listed[0][0] if listed else revision}"
    argv = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force")
    _git(cache, env, *argv, "--", url, f"{wanted}:{keep}")
    commit, _, subject = _git(cache, env, "log", "-1", f"--format={_FORMAT}", keep).strip("\n").split("\0")
    roots = _git(cache, env, "rev-list", "--max-parents=0", commit).split()
    files = {}
    for name in ("pyproject.toml", "dobby.toml"):
        code, out, _ = spawn.capture(
            ["git", "-C", cache, "cat-file", "blob", f"{commit}:{name}"], cwd="/", env=env
        )
        if code == 0:
            files[name] = out.decode("utf-8", "replace")
    return {"commit": commit, "branch": branch, "subject": subject, "roots": roots, "files": files}


def _git(cache: str, env: dict[str, str], *args: str) -> str:
    code, out, said = spawn.capture(["git", "-C", cache, *args], cwd="/", env=env)
    if code:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise DobbyError(
            f"the host could not fetch that revision: {words[-1] if words else f'git exit {code}'}",
            "the host uses its own access to that URL; from a checkout, dobby sends the commits itself",
        )
    return out.decode("utf-8", "surrogateescape")
