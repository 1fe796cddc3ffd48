"""Where the caller has no checkout: fetch a revision from its URL, with the host's own access."""

from __future__ import annotations

from dobby.agent import durable, hostgit, module_fetch, objects, packs, spawn, store
from dobby.core import layout
from dobby.core.errors import DobbyError, UsageError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.agent.main import Call

# Nothing of the account's that would act or answer otherwise; its access (keys, helpers) stays.
_GIT = (
    *("git", "--git-dir=."),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "log.showSignature=false"),
    *("-c", "gc.auto=0"),
    *("-c", "fetch.unpackLimit=1"),  # one pack, not loose objects
)
_FETCH = (
    "fetch",
    "-q",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-prune",
    "--force",
)
# Words of a login are read from the environment by the shell that git starts for it: argv, which
# everyone may read, holds their names alone (gitcredentials(7)).
_HELPER = '!printf "username=%s\\npassword=%s\\n" "$DOBBY_LOGIN_USER" "$DOBBY_LOGIN_PASSWORD" #'
FILES = ("pyproject.toml", "dobby.toml")


def run(call: Call) -> dict[str, Any]:
    """`args`: `repo` (a URL without a secret), `login` (user and password for it, "" where it
    needs none), `revision`, `project`. Answers `commit branch subject roots`, `files` (the texts
    of FILES that the commit has) and `notices` (sentences)."""
    url, revision = call.args["repo"], call.args["revision"]
    if url.startswith("-") or "::" in url.partition("/")[0] or revision.startswith("-"):
        raise UsageError(f"{shown(url)} {shown(revision)} is no URL and revision that git may be given")
    job = store.canonical(call.home, call.args["project"], "x")
    project = layout.Project(home=call.home, project=job.project)
    durable.make_dirs(project.root)
    env = module_fetch.access(hostgit.env_of(call.home))
    git = Git(project.cache, env, url, *call.args.get("login", ("", "")))
    try:
        objects.ensure_cache(project.cache, "sha1", env)
        packs.recover(project.cache)
        return _fetch(git, url, revision)
    except DobbyError:
        hostgit.check_git(env)
        raise


class Git:
    """git in the cache, with the login for one URL's server: where that redirects to another, git
    asks again, and is told nothing."""

    def __init__(self, cache: str, env: dict[str, str], url: str, user: str, password: str) -> None:
        self._argv = [*_GIT]
        self._cache, self._env = cache, env
        if user or password:
            server = "/".join(url.split("/")[:3])
            self._argv += ["-c", "credential.helper=", "-c", f"credential.{server}.helper={_HELPER}"]
            self._env = {**env, "DOBBY_LOGIN_USER": user, "DOBBY_LOGIN_PASSWORD": password}

    def ask(self, *args: str) -> bytes | None:
        """stdout, None where git fails."""
        code, out, _ = spawn.capture([*self._argv, *args], cwd=self._cache, env=self._env)
        return None if code else out

    def run(self, *args: str) -> str:
        """stdout. Raises DobbyError in git's own words."""
        code, out, said = spawn.capture([*self._argv, *args], cwd=self._cache, env=self._env)
        if code:
            raise DobbyError(
                f"the host could not fetch that revision: {_reason(said) or f'git exit {code}'}",
                "the host uses its own access to that URL; from a checkout, dobby sends the commits itself",
            )
        return out.decode("utf-8", "surrogateescape")


def _reason(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    reasons = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    return (reasons or lines[-1:] or [""])[0]


def _fetch(git: Git, url: str, revision: str) -> dict[str, Any]:
    asked = (f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/tags/{revision}^{{}}")
    lines = (line.split("\t", 1) for line in git.run("ls-remote", "--", url, *asked).splitlines())
    listed = {ref: id for id, ref in lines}
    wanted = next((ref for ref in asked if ref in listed), revision)
    keep = f"refs/dobby/fetched/{listed.get(wanted, revision)}"
    git.run(*_FETCH, "--", url, f"{wanted}:{keep}")
    commit, subject = git.run("log", "-1", "--format=%H%x00%s", keep).rstrip("\n").split("\0")
    files = {name: git.ask("cat-file", "blob", f"{commit}:{name}") for name in FILES}
    has_modules = git.ask("cat-file", "-e", f"{commit}:.gitmodules") is not None
    return {
        "commit": commit,
        "branch": revision if wanted.startswith("refs/heads/") else "",
        "subject": subject,
        "roots": git.run("rev-list", "--max-parents=0", commit).split(),
        "files": {n: text.decode("utf-8", "replace") for n, text in files.items() if text is not None},
        "notices": ["the host fetches the submodules as well, as part of the run"] * has_modules,
    }
