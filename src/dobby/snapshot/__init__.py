"""The laptop's git: a revision, or the working tree as it stands, as commits to send.

    checkout     the repository that the caller stands in
    revisions    branch, tag, commit -> commit, fetched where only origin has it
    worktree     what stands in the working tree; standing makes a tree of it, by own_index and trees
    dirty        submodules that have changes of their own
    filters      files that would not arrive as they are seen here
    modules      submodules, checked
    pointers     changed files under Git LFS
    include      files that git does not carry; hashes remembers their SHA-256
    take         all of these together: a Snapshot
    history      roots, tags, likely bases
    objects      reading, asking, packing; ahead packs before it is asked
    commits, store, cache, git: what these stand on

Nothing of the user's is written: no ref, index, stash, reflog, FETCH_HEAD or object.
"""

from __future__ import annotations

from dobby.snapshot.ahead import Ahead
from dobby.snapshot.checkout import Checkout, email_anywhere, email_of, open_checkout
from dobby.snapshot.history import distance, recent, root_commits, tags
from dobby.snapshot.include import Included, include
from dobby.snapshot.modules import ModuleSource
from dobby.snapshot.objects import known, pack
from dobby.snapshot.take import Snapshot, take

__all__ = [
    "Ahead",
    "Checkout",
    "Included",
    "ModuleSource",
    "Snapshot",
    "distance",
    "email_anywhere",
    "email_of",
    "include",
    "known",
    "open_checkout",
    "pack",
    "recent",
    "root_commits",
    "tags",
    "take",
]
