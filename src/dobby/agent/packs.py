"""A cache's packs: each launch that sends objects leaves one, and with hundreds git gets slow.

The small ones are put together, whoever needs their objects: nothing is judged by what can be reached,
so nothing that a sandbox borrows is ever gone. A pack goes once the one that replaces it is in place
and has been read back; a reader that knew the old one looks for its object again (git's packfile.c).
"""

from __future__ import annotations

import os
import time

from dobby.agent import durable, locks, objects, pack_index, processes, spawn
from dobby.core.errors import DobbyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 16  # packs that a cache may have before the small ones are put together
STALE_S = 60.0  # git holds a lock for milliseconds; its holder may just have been stopped
_GROWTH = 2  # each pack that stays is so many times larger than all smaller ones together
_EXTENSIONS = ("idx", "rev", "bitmap", "mtimes", "pack")  # the index first: git finds a pack by it
_STAY = (".keep", ".promisor")
_TEMPORARY = ("tmp_pack_", "tmp_idx_", "tmp_rev_", ".tmp-")


def consolidate(cache: str, env: Mapping[str, str]) -> int:
    """How many packs were replaced by one: 0 where there are few, or somebody else is at it.
    Raises DobbyError in git's own words, with every pack as it was."""
    pack_dir = f"{cache}/objects/pack"
    if len(_packs(pack_dir)) <= MOST:
        return 0
    fd = locks.take(f"{cache}/packing", wait=False)
    if fd is None:
        return 0
    try:
        recover(cache)
        small = _small_ones(_packs(pack_dir))
        if len(small) > 1:
            _replace(cache, small, env)
        return len(small)
    finally:
        locks.release(fd)


def _packs(pack_dir: str) -> dict[str, int]:
    """Name without its ending -> bytes, of each whole pack that is anyone's to replace."""
    names = set(durable.names(pack_dir))
    bases = (name[:-4] for name in names if name.startswith("pack-") and name.endswith(".idx"))
    whole = (base for base in bases if f"{base}.pack" in names)
    ours = (base for base in whole if not any(base + ending in names for ending in _STAY))
    return {base: os.stat(f"{pack_dir}/{base}.pack").st_size for base in ours}


def _small_ones(packs: Mapping[str, int]) -> list[str]:
    """Those up to the last one that is not much larger than all smaller ones together: a large
    pack is written again only after as much has come in."""
    below, last = 0, 0
    by_size = sorted(packs, key=lambda base: (packs[base], base))
    for place, base in enumerate(by_size):
        if packs[base] < _GROWTH * below:
            last = place + 1
        below += packs[base]
    return by_size[:last]


def _replace(cache: str, bases: list[str], env: Mapping[str, str]) -> None:
    pack_dir = f"{cache}/objects/pack"
    wanted: set[bytes] = set()
    for base in bases:
        wanted |= _ids(cache, base)
    listed = b"".join(id.hex().encode() + b"\n" for id in wanted)
    limits = ("-c", "pack.threads=1", "-c", "pack.windowMemory=64m", "-c", "pack.writeReverseIndex=false")
    packing = ("pack-objects", "-q", "--delta-base-offset", "objects/pack/pack")
    code, out, said = spawn.capture(
        [*objects.GIT, *limits, "--git-dir=.", *packing],
        cwd=cache,
        env=objects.git_env(env),
        input=listed,
    )
    made = f"pack-{out.decode('ascii', 'replace').strip()}"
    if code or not wanted <= _ids(cache, made):
        raise DobbyError(f"the packs of {cache} were not put together: {objects.last_line(said)}")
    durable.sync_dir(pack_dir)
    durable.discard(f"{pack_dir}/multi-pack-index")  # it would name packs that are gone
    for base in bases:
        if base != made:
            for extension in _EXTENSIONS:
                durable.discard(f"{pack_dir}/{base}.{extension}")


def _ids(cache: str, base: str) -> set[bytes]:
    """The objects of a pack. Raises DobbyError where its index is none."""
    return pack_index.ids(f"{cache}/objects/pack/{base}.idx", 32 if _is_sha256(cache) else 20)


def _is_sha256(cache: str) -> bool:
    return b"objectformat = sha256" in (durable.read(f"{cache}/config") or b"").lower()


# --- after processes that were killed ------------------------------------------------------


def recover(cache: str) -> list[str]:
    """Remove locks and half-written packs that killed processes have left: older than git holds
    any, and no git of this account is at work on the cache. The paths that went."""
    stale = [path for path in _leftovers(cache) if _is_old(path)]
    if not stale or processes.is_used_by_git(cache):
        return []
    for path in stale:
        durable.discard(path)
    return stale


def _leftovers(cache: str) -> list[str]:
    found = []
    for name in durable.names(f"{cache}/objects/pack"):
        if name.startswith(_TEMPORARY):
            found.append(f"{cache}/objects/pack/{name}")
    found += [f"{cache}/{name}" for name in durable.names(cache) if name.endswith(".lock")]
    for base, _, names in os.walk(f"{cache}/refs"):
        found += [f"{base}/{name}" for name in names if name.endswith(".lock")]
    return found


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > STALE_S
    except FileNotFoundError:
        return False
