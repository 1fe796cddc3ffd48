"""Commits arrive from the laptop, in the session of the launch, straight into the caches."""

from __future__ import annotations

import os

from dobby.agent import durable, hostgit, objects, tags
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.agent.blobs import Store
    from dobby.agent.main import Call
    from dobby.core import layout
    from dobby.core.request import Request


def ensure(run: layout.Run, request: Request, env: dict[str, str], call: Call) -> None:
    """Have every commit that the request names, and its tags, in the host's caches, pinned for
    the job, and all contents that git does not carry. `env` is for the host's git. Asks the caller for
    what is missing. Raises DobbyError."""
    try:
        _ensure(run.job, request, call, env)
        if request.lfs or request.manifest:
            _ensure_contents(run, request, call, env)
    except DobbyError:
        hostgit.check_git(env)  # it may have failed for the want of a git that fits
        raise


def _ensure(job: layout.Job, request: Request, call: Call, env: dict[str, str]) -> None:
    project = job.of_project
    objects.ensure_cache(project.cache, request.object_format, env)
    new_tags = bool(request.tags) and not tags.are_known(project, request)
    tag_ids = [id for _, id in request.tags] if new_tags else []
    missing_tags = set(tag_ids) - set(objects.existing(project.cache, tag_ids, env))
    here = objects.holds(project.cache, request.commit) or _take_unasked(project.cache, request, env, call)
    if missing_tags or not here:
        _receive(project.cache, "", [request.commit, *sorted(missing_tags)], env, call)
    objects.pin(project.cache, job.label, request.commit)
    for module in request.modules:
        if module.fetch:
            continue  # not the caller's to send: see module_fetch
        cache = project.module_cache(module.name)
        durable.make_dirs(os.path.dirname(cache))
        objects.ensure_cache(cache, request.object_format, env)
        if not objects.holds(cache, module.commit):
            _receive(cache, module.name, [module.commit], env, call)
        objects.pin(cache, job.label, module.commit)
    if new_tags:
        tags.note(project, request, env)


def _take_unasked(cache: str, request: Request, env: dict[str, str], call: Call) -> bool:
    """Whether the commit came along with the call, as a pack upon a commit that is needed here too, and so
    is here with all that it reaches."""
    if not call.attached or call.args.get("upon") not in objects.tips(cache):
        return False
    rest = [call.attached]
    try:
        objects.receive(cache, lambda _: rest.pop() if rest else b"", env)
    except DobbyError:  # it is asked for, and why it cannot be had is told then
        return False
    return objects.holds(cache, request.commit)


def _receive(cache: str, repository: str, want: list[str], env: dict[str, str], call: Call) -> None:
    """Ask for `want`, answer which commits are here already as long as the caller asks, then
    take the pack. The caller's frames: {"check": [ids]}, {"pack": true, "shallow": [ids]
    that come without their history} and then the pack as frames up to an empty one, or
    {"error": message}."""
    known = objects.tips(cache)
    cut = objects.shallow(cache)
    while True:
        question = {"repository": repository, "want": want, "have": known, "shallow": cut}
        answer = call.ask(question)
        if "error" in answer:
            raise DobbyError(str(answer["error"]))
        if "pack" in answer:
            objects.mark_shallow(cache, [str(id) for id in answer["shallow"]])
            objects.receive(cache, call.wire.read_frames(), env)
            break
        known = objects.existing(cache, [str(id) for id in answer["check"]], env)
    missing = [id for id in want if not objects.holds(cache, id)]
    if missing:
        raise DobbyError(f"the pack that arrived lacks {', '.join(missing)}")


def _ensure_contents(run: layout.Run, request: Request, call: Call, env: dict[str, str]) -> None:
    from dobby.agent import lfs
    from dobby.agent.blobs import Store

    project = run.job.of_project
    store = Store(project.blobs)
    repositories = {"": (project.cache, request.commit)}
    for module in request.modules:
        repositories[module.name] = (project.module_cache(module.name), module.commit)
    chosen = {name: repositories[name] for name in request.lfs if name in repositories}
    store.note_need(run, [commit for _, commit in chosen.values()], request.manifest)
    for name, (cache, commit) in chosen.items():
        if not store.is_whole(commit):
            lfs.lead_git_lfs(cache, store)
            files = lfs.ensure_list(store, cache, commit, env)
            _receive_contents(store, name, {f.sha256: f.size for f in files}, call)
            store.note_whole(commit)
    if request.manifest and not store.is_whole(request.manifest):
        if store.read(request.manifest) is None:
            _ask_contents(store, "", {request.manifest: -1}, call)
        items = store.manifest(request.manifest)
        _receive_contents(store, "", {i.sha256: i.size for i in items if not i.target}, call)
        store.note_whole(request.manifest)


def _receive_contents(store: Store, repository: str, wanted: dict[str, int], call: Call) -> None:
    missing = store.missing(wanted)
    if missing:
        _ask_contents(store, repository, missing, call)


def _ask_contents(store: Store, repository: str, missing: dict[str, int], call: Call) -> None:
    """The caller's frames: {"blobs": true} and then each content, in the order asked for, as
    frames up to an empty one; or {"error": message}. Each is kept as soon as it is whole, so that
    a cut connection costs the one that was under way."""
    answer = call.ask({"repository": repository, "blobs": [*missing.items()]})
    if "error" in answer:
        raise DobbyError(str(answer["error"]))
    for id in missing:
        store.receive(id, call.wire.read_frames())
