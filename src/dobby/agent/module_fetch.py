"""Submodules that no laptop sent: the host fetches them from their URLs, with its own access, in
the run's "sandbox" phase, so that a slow one does not hold the launch."""

from __future__ import annotations

import os

from dobby.agent import durable, objects, spawn
from dobby.core import gitmodules, urls
from dobby.core.errors import DobbyError
from dobby.core.gitmodules import joined
from dobby.core.request import Module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.agent.steps import Steps
    from dobby.core import layout
    from dobby.core.request import Request

PROTOCOLS = "file:git:http:https:ssh"
# Of the account's settings its access stays (keys, helpers, proxies), nothing that would act.
GIT = (
    *("git", "--git-dir=."),
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    # A server that has gone silent: a minute under 1 kB/s.
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"),
)
_FETCH = ("fetch", "-q", "--no-tags", "--no-recurse-submodules", "--force")
_SSH = "ssh -oBatchMode=yes -oConnectTimeout=30"


def complete(project: layout.Project, request: Request, steps: Steps) -> Request:
    """`request` with every submodule that its commit records and nobody sent, each in its cache.
    Raises StepFailed and UsageError, naming the submodule."""
    if not request.repo and not any(module.fetch for module in request.modules):
        return request
    source = _Source(project, request, steps)
    found: list[Module] = []
    if request.repo:
        top = Module(path="", name="", url=request.repo, commit=request.commit)
        found += source.inside(top, project.cache)
    for module in request.modules:
        found += source.fetched(module) if module.fetch else [module]
    whole: Request = request.replace(modules=tuple(found))
    return whole


class _Source:
    def __init__(self, project: layout.Project, request: Request, steps: Steps) -> None:
        self._project, self._request, self._steps = project, request, steps
        self._env = access(steps.env)

    def fetched(self, module: Module) -> list[Module]:
        """`module` and all that it holds, parents first."""
        cache = self._project.module_cache(module.name)
        durable.make_dirs(os.path.dirname(cache))
        objects.ensure_cache(cache, self._request.object_format, self._env)
        if not objects.holds(cache, module.commit):
            self._fetch(cache, module)
        return [module, *self.inside(module, cache)]

    def inside(self, parent: Module, cache: str) -> list[Module]:
        """The submodules that the commit of `parent` records, fetched."""
        listing = self._read(cache, "ls-tree", "-r", "-z", "--full-tree", parent.commit)
        links = gitmodules.parse_gitlinks(listing, parent.path)
        if not links:
            return []
        config = self._read(
            cache, "config", "-z", "--no-includes", "--list", f"--blob={parent.commit}:.gitmodules"
        )
        found = []
        for recorded in gitmodules.recorded(config, links, parent.path):
            if recorded.update == gitmodules.LEFT_OUT:
                continue
            module = Module(
                path=joined(parent.path, recorded.path),
                name=joined(parent.name, recorded.name),
                url=urls.split_login(urls.resolve(parent.url, recorded.url))[0],
                commit=recorded.commit,
                fetch=True,
            )
            found += self.fetched(module)
        return found

    def _read(self, cache: str, *words: str) -> str:
        """What git answers without the account's settings, which may hold a submodule's name."""
        argv = [*objects.GIT, "--git-dir=.", *words]
        code, out, said = spawn.capture(argv, cwd=cache, env=objects.git_env(self._env))
        if code:
            raise DobbyError(f".gitmodules cannot be read in {cache}: {reason(said)}")
        return os.fsdecode(out)

    def _fetch(self, cache: str, module: Module) -> None:
        """The commit alone is asked for first; a server that gives only what its refs name
        (before git's protocol version 2) is asked for these."""
        self._steps.say(f"fetching the submodule {module.path} from {urls.without_user_info(module.url)}")
        one = f"{module.commit}:refs/dobby/fetched/{module.commit}"
        every = ("+refs/heads/*:refs/dobby/origin/heads/*", "+refs/tags/*:refs/dobby/origin/tags/*")
        reasons = []
        for refspecs in ((one,), every):
            argv = [*GIT, *_FETCH, "--prune", "--", module.url, *refspecs]
            code, _, said = spawn.capture(argv, cwd=cache, env=self._env)
            if objects.holds(cache, module.commit):
                return
            reasons.append(reason(said) if code else f"it has no commit {module.commit[:10]}")
        raise self._steps.fail(
            f"the submodule {module.path} could not be fetched from {urls.without_user_info(module.url)}:"
            f" {reasons[-1]}; `git submodule update --init {module.path}` on the laptop lets it travel from"
            f" there, `git config submodule.NAME.update none` leaves it out"
        )


def access(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a git that fetches with the account's access. It never asks: neither git,
    nor ssh, nor a helper of theirs."""
    kept = {k: v for k, v in env.items() if not k.startswith("GIT_") or k.startswith("GIT_SSH")}
    kept.update(
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="false",
        SSH_ASKPASS="false",
        SSH_ASKPASS_REQUIRE="force",
        GIT_ALLOW_PROTOCOL=PROTOCOLS,
        LC_ALL="C.UTF-8",
    )
    if not any(name in kept for name in ("GIT_SSH", "GIT_SSH_COMMAND")) and not _own_ssh(kept):
        kept["GIT_SSH_COMMAND"] = _SSH
    return kept


def _own_ssh(env: Mapping[str, str]) -> bool:
    """Whether the account names its own program for ssh, which a variable of ours would hide."""
    return spawn.capture(["git", "config", "--get", "core.sshCommand"], cwd="/", env=env)[0] == 0


def reason(said: bytes) -> str:
    """The first lines of git's stderr that give the reason: ssh's own words come before git's."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("warning: ", "Please make sure", "and the "))]
    return "; ".join(lines[:2]) or "git said nothing"
