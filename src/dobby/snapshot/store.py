"""dobby's own object directories on the laptop: what is made for a run is not put into the
user's repository. One directory a repository, under $XDG_CACHE_HOME/dobby/objects."""

from __future__ import annotations

import os
import time

from dobby.core.digest import sha256
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.snapshot import git
    from dobby.snapshot.checkout import Checkout

KEEP_S = 14 * 86400
_TRIM_EVERY_S = 86400


def key(path: str) -> str:
    """A file name that stands for `path`."""
    return sha256(os.fsencode(path)).hexdigest()[:32]


def directory(common_dir: str) -> str:
    """Where new objects of this repository go; it may not exist yet."""
    return f"{memos()}/objects/{key(common_dir)}"


def memos() -> str:
    """dobby's cache directory: what is in it can be found out anew."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.expanduser("~/.cache")
    return f"{cache}/dobby"


def beside(common_dir: str) -> tuple[str, ...]:
    """Our own directory for this repository, where there is one."""
    own = directory(common_dir)
    return (own,) if os.path.isdir(own) else ()


def existing(checkout: Checkout) -> tuple[str, ...]:
    """All object directories beside the repository's own that hold objects of it."""
    return (*beside(checkout.common_dir), *checkout.objects)


def writing(checkout: Checkout) -> git.Place:
    """The place that writes into our own directory and reads the user's. Makes the directory.
    Raises DobbyError where that cannot be."""
    own = directory(checkout.common_dir)
    try:
        os.makedirs(own, mode=0o700, exist_ok=True)
        trim(own)
    except OSError as error:
        raise DobbyError(
            f"{error.filename}: cannot keep the snapshot's objects there: {error.strerror}",
            "make it writable, or let XDG_CACHE_HOME name another directory",
        ) from None
    objects = (f"{checkout.common_dir}/objects", *checkout.objects)
    place: git.Place = checkout.place.replace(write=own, objects=objects)
    return place


def trim(own: str) -> None:
    """Once a day, remove what no snapshot has needed for KEEP_S. git sets an object's time
    anew whenever it would write it again, so all of a recent snapshot is recent."""
    stamp, now = f"{own}/trimmed", time.time()
    if os.path.exists(stamp) and now - os.stat(stamp).st_mtime < _TRIM_EVERY_S:
        return
    with open(stamp, "wb"):
        os.utime(stamp)
    for folder, _, names in os.walk(own):
        for name in sorted(names):  # pack-….idx before its .pack
            path = f"{folder}/{name}"
            try:
                if now - os.lstat(path).st_mtime > KEEP_S:
                    os.unlink(path)
            except FileNotFoundError:
                continue  # another dobby trims as well
