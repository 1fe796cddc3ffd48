"""Files under Git LFS of what no laptop sent (`--repo`, submodules that the host fetches): git-lfs
brings their contents there, where it is installed, with the account's own access. Else pointers
stay, and that is said."""

from __future__ import annotations

from dobby.agent import lfs, module_fetch, objects, spawn, variables
from dobby.agent.blobs import Store
from dobby.core import urls
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.agent.steps import Steps
    from dobby.core import layout
    from dobby.core.request import Request

# Where git reads attributes; most repositories name no filter there, and are not listed.
_ATTRIBUTES = (".gitattributes", ":(glob)**/.gitattributes")
# One remote, and all of the commit, whatever the account's settings leave out.
_REMOTE = "dobby"
_ALL_OF_IT = (
    *("-c", "lfs.fetchinclude=", "-c", "lfs.fetchexclude="),
    *("-c", "lfs.fetchrecentalways=false", "-c", "lfs.fetchrecentrefsdays=0"),
)


class _Fetched(Record):
    """A repository that the host fetched: `name` as in Request.lfs, `path` in the sandbox."""

    name: str
    path: str
    url: str
    cache: str
    commit: str


def complete(run: layout.Run, request: Request, steps: Steps) -> Request:
    """`request`, complete as to its submodules, with `lfs` naming also what the host fetched and
    whose contents are all here now. Raises DobbyError, OSError."""
    env = objects.git_env(steps.env)
    fetched = [one for one in _fetched(run.job.of_project, request) if _speaks_of_lfs(one, env)]
    if not fetched:
        return request
    store = Store(run.job.of_project.blobs)
    commits = {"": request.commit, **{module.name: module.commit for module in request.modules}}
    names = [*request.lfs, *(one.name for one in fetched)]
    store.note_need(run, [commits[name] for name in names if name in commits], request.manifest)
    here = tuple(one.name for one in fetched if _bring(store, one, steps))
    whole: Request = request.replace(lfs=request.lfs + here)
    return whole


def _fetched(project: layout.Project, request: Request) -> list[_Fetched]:
    top = _Fetched(name="", path="", url=request.repo, cache=project.cache, commit=request.commit)
    modules = [
        _Fetched(name=m.name, path=m.path, url=m.url, cache=project.module_cache(m.name), commit=m.commit)
        for m in request.modules
        if m.fetch
    ]
    return [top, *modules] if request.repo else modules


def _speaks_of_lfs(one: _Fetched, env: dict[str, str]) -> bool:
    words = ("--git-dir=.", "grep", "-q", "-F", "filter=lfs", one.commit, "--", *_ATTRIBUTES)
    return spawn.capture([*objects.GIT, *words], cwd=one.cache, env=env)[0] == 0


def _bring(store: Store, one: _Fetched, steps: Steps) -> bool:
    """Whether all contents are here."""
    files = lfs.ensure_list(store, one.cache, one.commit, steps.env)
    missing = store.missing({file.sha256: file.size for file in files})
    if not missing:
        return True
    count = f"{len(missing)} file{'' if len(missing) == 1 else 's'} under Git LFS"
    what = f"{count} of the submodule {one.path}" if one.path else count
    remedy = "run it from a checkout, which sends them, or install git-lfs there"
    if not variables.find("git-lfs", steps.env):
        steps.say(f"{what}: there is no git-lfs on this host to fetch them, so pointers stay; {remedy}")
        return False
    url = urls.without_user_info(one.url)
    steps.say(f"fetching {what} from {url}, {sum(missing.values()) / 1e6:.1f} MB (git lfs fetch)")
    lfs.lead_git_lfs(one.cache, store)
    argv = [*module_fetch.GIT, *_ALL_OF_IT, "-c", f"remote.{_REMOTE}.url={one.url}"]
    env = module_fetch.access(steps.env)
    code, _, said = spawn.capture([*argv, "lfs", "fetch", _REMOTE, one.commit], cwd=one.cache, env=env)
    left = store.missing(missing)
    store.secure(missing.keys() - left.keys())
    if left:
        why = module_fetch.reason(said) if code else "git lfs fetch did not bring them"
        steps.say(f"{what}: {len(left)} could not be fetched from {url}, so pointers stay: {why}; {remedy}")
    return not left
