"""A job's sandbox: its private checkout, reused from run to run.

What a job left there is not trusted: it may have edited .git, planted symlinks, been killed
anywhere. See `checkout` for one repository; here is the whole, with submodules.
"""

from __future__ import annotations

import os

from dobby.agent import glance, lodged, module_fetch, objects, spare, tags, trees
from dobby.agent.checkout import Checkout
from dobby.agent.collecting import collect
from dobby.agent.gitdir import Broken, Wanted
from dobby.agent.left import Kept, Left
from dobby.agent.submodules import place_modules, renew_modules
from dobby.agent.trees import remove_tree
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Optional

    from dobby.agent.included import Included
    from dobby.agent.lfs import Contents
    from dobby.agent.steps import Steps
    from dobby.agent.submodules import Place
    from dobby.agent.worktree import Answers
    from dobby.core import layout
    from dobby.core.request import Request

__all__ = ["collect", "prepare", "remove_tree"]


def prepare(
    run: layout.Run,
    request: Request,
    previous_run: str,
    steps: Steps,
    seen: bytes = b"",
) -> str:
    """Make the job's sandbox exactly `request.commit`, whatever is there now. `seen` is what a
    glance at it has given.

    What `previous_run` (an id, or "") has left moves to its left/. The caller holds the
    label's lock. Returns what was done, for the log: "new", "unchanged", "moved 3 files to
    left/", "1a2b3c4 -> 5d6e7f8". Raises StepFailed."""
    try:
        whole = module_fetch.complete(run.job.of_project, request, steps)
        if any(module.fetch for module in whole.modules) or whole.repo:
            from dobby.agent import lfs_fetch

            whole = lfs_fetch.complete(run, whole, steps)
        lodged.park(run.job)
        return _Sandbox(run, whole, previous_run, steps, seen).prepare_exactly()
    except OSError as error:
        raise steps.fail(f"{os.fsdecode(error.filename or run.job.sandbox)}: {error.strerror}") from None
    except (DobbyError, ValueError) as error:
        raise steps.fail(str(error)) from None


def make_spare(run: layout.Run, request: Request, steps: Steps, path: str) -> None:
    """A sandbox at `path` as `request` would have it. Raises StepFailed, OSError."""
    new = _Sandbox(run, module_fetch.complete(run.job.of_project, request, steps), "", steps)
    new.make_at(path)


class _Sandbox:
    def __init__(
        self,
        run: layout.Run,
        request: Request,
        previous_run: str,
        steps: Steps,
        seen: bytes = b"",
    ) -> None:
        self._run = run
        self._seen, self._previous_run = seen, previous_run
        self._told: Optional[Answers] = None
        self._request = request
        self._steps = steps
        self._cache = run.job.of_project.cache
        self._left_by = previous_run or run.run_id
        self._top = os.fsencode(run.job.sandbox)
        self._left = Left(self._top, os.fsencode(_left_dir(run, previous_run)))
        self._included = self._find_included()
        self._kept = Kept(self._top, request.keep, self._included.stay if self._included else None)
        self._places = place_modules(request.modules)

    def prepare_exactly(self) -> str:
        """`prepare`, and what the request says of submodules is what the commits record."""
        done = self.prepare()
        if self._places:
            self._own(self._top).check_modules(self._commits(None))
            for place in self._places:
                self._module(self._top, place).check_modules(self._commits(place))
        return done

    def _commits(self, parent: Place | None) -> dict[bytes, str]:
        """Path, from the parent's own top, -> commit of the submodules directly inside."""
        cut = len(parent.path) + 1 if parent else 0
        return {p.path[cut:]: p.module.commit for p in self._places if p.parent is parent}

    def prepare(self) -> str:
        self._pin()
        remove_tree(self._run.job.sandbox + ".new")
        if trees.lstat(self._top) is None:
            self._make_new()
            return "new"
        self._told = self._glanced()
        try:
            return self._renew_closed()
        except Broken as why:
            return self._make_anew(str(why))

    def _glanced(self) -> Optional[Answers]:
        """What a glance has seen of the sandbox that is now in place."""
        return glance.answers(self._seen, self._run.job, self._previous_run) if self._seen else None

    def _make_new(self) -> None:
        if not spare.take(self._run.job.of_project, self._top):
            self._make()
            return
        self._told = self._glanced()
        if self._told is None:
            spare.settle(self._run.job.sandbox)
        try:
            self._renew_closed()
        except Broken:
            remove_tree(self._run.job.sandbox)
            self._make()

    def _renew_closed(self) -> str:
        """A job may have closed directories to its own account (chmod)."""
        try:
            return self._renew()
        except PermissionError:
            trees.open_up(self._top)
        try:
            return self._renew()
        except PermissionError as error:
            raise Broken(f"{os.fsdecode(error.filename or '')} is closed to us") from None

    def _pin(self) -> None:
        """The commits are needed from here on, also when a newer run is accepted meanwhile."""
        label, project = self._run.label, self._run.job.of_project
        objects.pin_sandbox(self._cache, label, self._request.commit)
        for module in self._request.modules:
            objects.pin_sandbox(project.module_cache(module.name), label, module.commit)

    def make_at(self, path: str) -> None:
        """As for the first run of a job, but without what is included: that is the job's alone."""
        remove_tree(path + ".new")
        self._top, self._included = os.fsencode(path), None
        self._make()

    def _make(self) -> None:
        """Beside, then renamed: a sandbox is whole, or it is not there."""
        new = self._top + b".new"
        os.mkdir(new, 0o700)
        self._own(new).make()
        for place in self._places:
            place.make(new, self._module(new, place))
        if self._included:
            self._included.place(new)
        os.rename(new, self._top)

    def _make_anew(self, why: str) -> str:
        kept = Kept(self._top, self._request.keep).paths() if trees.is_dir(self._top) else set()
        old = self._left.take_whole()
        self._make()
        for rel in sorted(kept):
            trees.bring_back(old, self._top, rel)
        return f"made anew, since {why}; the old one is left/{os.fsdecode(os.path.basename(old))}"

    def _renew(self) -> str:
        if not trees.is_dir(self._top):
            raise Broken("it is no directory")
        self._kept.paths()
        renewed = self._own(self._top).renew(self._left, self._kept, self._left_by)
        if renewed.base:
            objects.pin_left(self._cache, self._run.label, self._left_by, renewed.base)
        bases = renew_modules(
            self._top,
            [(place, self._module(self._top, place)) for place in self._places],
            self._left,
            self._kept,
            self._left_by,
        )
        for name, base in bases.items():
            cache = self._run.job.of_project.module_cache(name)
            objects.pin_left(cache, self._run.label, self._left_by, base)
        placed = self._included.place(self._top) if self._included else 0
        included = f"included {placed} file{'s' if placed > 1 else ''}" if placed else ""
        kept = f"kept the job's commits as refs/dobby/left/{self._left_by}" if renewed.made else ""
        return ", ".join(filter(None, (renewed.moved, included, self._left.note(), kept))) or "unchanged"

    def _find_included(self) -> Optional[Included]:
        """None where nothing is included, nor was by the run before."""
        request, job = self._request, self._run.job
        if not request.manifest and not os.path.exists(job.included):
            return None
        from dobby.agent import blobs, included

        store = blobs.Store(job.of_project.blobs)
        return included.Included(self._top, job.included, store, request.manifest)

    # --- the checkouts ---

    def _own(self, top: bytes) -> Checkout:
        request = self._request
        wanted = Wanted(
            commit=request.commit,
            branch=request.branch,
            objects=f"{self._cache}/objects",
            object_format=request.object_format,
            origin=request.origin,
            tags=request.tags,
            modules=self._inside(None),
        )
        paths = frozenset(place.path for place in self._places if place.parent is None)
        contents = self._contents_of("")
        told, self._told = self._told, None
        return Checkout(top, b"", b".git", wanted, self._steps, paths, self._find_tags, contents, told)

    def _module(self, top: bytes, place: Place) -> Checkout:
        cache = self._run.job.of_project.module_cache(place.module.name)
        wanted = Wanted(
            commit=place.module.commit,
            branch="",
            objects=f"{cache}/objects",
            shallow=tuple(objects.shallow(cache)),
            object_format=self._request.object_format,
            origin=place.module.url,
            worktree=place.way_back,
            modules=self._inside(place),
        )
        paths = frozenset(p.path[len(place.path) + 1 :] for p in self._places if p.parent is place)
        contents = self._contents_of(place.module.name)
        return Checkout(top, place.path, place.git_rel, wanted, self._steps, paths, contents=contents)

    def _contents_of(self, repository: str) -> Optional[Callable[[bytes, bytes, bytes], Contents]]:
        """None where nothing of the repository is under Git LFS."""
        if repository not in self._request.lfs:
            return None
        from dobby.agent import blobs, lfs

        store = blobs.Store(self._run.job.of_project.blobs)
        form = self._request.object_format
        return lambda top, rel, git_dir: lfs.Contents(store, top, rel, git_dir, form)

    def _inside(self, parent: Place | None) -> tuple[tuple[str, str], ...]:
        return tuple((p.name, p.module.url) for p in self._places if p.parent is parent)

    def _find_tags(self) -> tuple[tuple[str, str], ...]:
        """Those of the laptop's tags whose objects have arrived, kept from here on."""
        asked = self._request.tags
        if not asked or tags.are_known(self._run.job.of_project, self._request):
            return asked
        there = tags.keep(self._cache, (id for _, id in asked), self._steps.env)
        return tuple((name, id) for name, id in asked if id in there)


def _left_dir(run: layout.Run, previous_run: str) -> str:
    """The previous run's left/; this run's where that run is gone."""
    if previous_run:
        previous = run.job.run(previous_run)
        if os.path.isdir(previous.root):
            return previous.left
    return run.left
