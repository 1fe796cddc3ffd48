"""What a snapshot's history says: root commits, tags that `git describe` needs, likely bases."""

from __future__ import annotations

import os
import time

from dobby.core.digest import sha256
from dobby.snapshot import cache, git, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dobby.snapshot.checkout import Checkout
    from dobby.snapshot.take import Snapshot

_ROOTS_KEPT = 32
_TAGS_KEPT = 8
_JUST_NOW_S = 2.0
_ANCESTORS = 1024  # how far back a base is sought


def root_commits(checkout: Checkout, snapshot: Snapshot, cache_dir: str) -> tuple[str, ...]:
    """The ids of the root commits that the snapshot descends from, sorted; () where that
    cannot be known. `cache_dir` keeps them per repository."""
    tip = snapshot.base
    if snapshot.parentless or not tip:
        return ()
    path = f"{cache_dir}/roots-{store.key(checkout.common_dir)}"
    seen = cache.load(path)
    if tip not in seen:
        place = checkout.place.replace(objects=snapshot.objects)
        roots = _roots_of(snapshot.parents, seen)
        if seen and roots is None:
            latest = next(reversed(seen))
            roots = _roots_since(place, tip, latest, seen[latest].split(" "))
        seen[tip] = " ".join(roots or _all_roots(place, tip))
        cache.store(path, seen, _ROOTS_KEPT)
    return tuple(seen[tip].split(" "))


def _roots_of(parents: tuple[str, ...], seen: dict[str, str]) -> list[str] | None:
    """Those of a commit with `parents`, None where they are not all known."""
    if not parents or not all(parent in seen for parent in parents):
        return None
    return sorted({root for parent in parents for root in seen[parent].split(" ")})


def _all_roots(place: git.Place, tip: str) -> list[str]:
    return sorted(git.run(place, "rev-list", "--max-parents=0", tip).decode().split())


def _roots_since(place: git.Place, tip: str, seen: str, its_roots: list[str]) -> list[str] | None:
    """The roots of `tip`, walking only what is not in the history of `seen`; None where that
    does not decide it: then `seen` is unknown, or has several roots and `tip` part of them."""
    try:
        out = git.run(place, "rev-list", "--parents", "--boundary", tip, f"^{seen}").decode()
    except git.GitFailed:  # the cached commit has been pruned
        return None
    walked = [line.split(" ") for line in out.splitlines()]
    boundary = {commit[0][1:] for commit in walked if commit[0].startswith("-")}
    new = [commit[0] for commit in walked if len(commit) == 1 and not commit[0].startswith("-")]
    if seen in boundary or (len(its_roots) == 1 and (boundary or not walked)):
        return sorted({*new, *its_roots})
    return None if boundary or not walked else sorted(new)


def tags(checkout: Checkout, snapshot: Snapshot, cache_dir: str) -> tuple[tuple[str, str], ...]:
    """(name, object id) of the tags that the snapshot descends from, so that `git describe`
    answers alike on the host; an annotated tag's id is the tag object's."""
    if snapshot.parentless or not snapshot.base:
        return ()
    state = _tags_state(checkout)
    path, key = f"{cache_dir}/tags-{store.key(checkout.common_dir)}", f"{snapshot.base} {state}"
    seen = cache.load(path) if state else {}
    if key not in seen:
        out = git.run(
            checkout.place.replace(objects=snapshot.objects),
            *("for-each-ref", f"--merged={snapshot.base}"),
            *("--format=%(refname:strip=2) %(objectname)", "refs/tags"),
        )
        seen[key] = " ".join(os.fsdecode(out).split("\n")).strip()
        if state:
            cache.store(path, seen, _TAGS_KEPT)
    words = seen[key].split(" ") if seen[key] else []
    return tuple(zip(words[0::2], words[1::2], strict=True))


def _tags_state(checkout: Checkout) -> str:
    """What changes when a tag does: packed-refs and the directories under refs/tags, by stat.
    "" where that cannot be relied upon: reftable, or a change so recent that the next could
    bear the same time."""
    if os.path.isdir(f"{checkout.common_dir}/reftable"):
        return ""
    paths = [f"{checkout.common_dir}/packed-refs"]
    paths += [folder for folder, _, _ in os.walk(f"{checkout.common_dir}/refs/tags")]
    marks = []
    for path in paths:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            continue
        if time.time() - found.st_mtime < _JUST_NOW_S:
            return ""
        marks.append(f"{path} {found.st_mtime_ns} {found.st_ino} {found.st_size}")
    return sha256("\n".join(marks).encode("utf-8", "surrogateescape")).hexdigest()


def distance(git_dir: str, objects: Iterable[str], commit: str, have: Iterable[str], most: int) -> int:
    """How many commits `commit` has that none of `have` has, counted up to `most`."""
    place = git.Place(git_dir=git_dir, objects=tuple(objects))
    walk = ("rev-list", "--count", f"--max-count={most}", commit, *(f"^{id}" for id in sorted(have)))
    return int(git.run(place, *walk))


def recent(git_dir: str, objects: Iterable[str], commit: str, most: int = 256) -> list[str]:
    """Commits that a host may have already, likeliest first: ancestors of `commit`, ever
    further apart, and the tips of origin's branches."""
    place = git.Place(git_dir=git_dir, objects=tuple(objects))
    walk = git.start(place, "rev-list", "--first-parent", f"--max-count={_ANCESTORS}", commit)
    listing = git.start(
        place,
        *("for-each-ref", "--format=%(objectname)", "--sort=-committerdate", f"--count={most // 2}"),
        "refs/remotes",
    )
    line, tips = git.finish(walk).decode().split(), git.finish(listing).decode().split()
    steps, at = [], 0
    while at < len(line):
        steps.append(line[at])
        at += max(1, at // 8)
    return list(dict.fromkeys([*steps[: most - most // 2], *tips, *steps]))[:most]
