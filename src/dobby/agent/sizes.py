"""What trees take up on the disk."""

from __future__ import annotations

import os
import time


def size_of(path: str, deadline: float = float("inf")) -> int:
    """Bytes on disk at and below `path`; symbolic links are not followed, and what the account
    may not look into counts nothing. At the `deadline` (monotonic) it is what was seen by then."""
    total, folders = 0, [path]
    while folders and time.monotonic() < deadline:
        folder = folders.pop()
        try:
            total += os.lstat(folder).st_blocks * 512
            if os.path.islink(folder) or not os.path.isdir(folder):
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:  # gone meanwhile, forbidden, or a path longer than the system can name
            continue
    return total
