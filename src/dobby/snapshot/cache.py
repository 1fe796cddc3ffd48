"""Small files that remember an answer of git's which costs a walk of the history."""

from __future__ import annotations

import os


def load(path: str) -> dict[str, str]:
    """key -> value, oldest first; nothing where the file is absent or not ours to read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = (line.rstrip("\n").partition("\t") for line in file if line.endswith("\n"))
            return {key: value for key, _, value in lines}
    except OSError:
        return {}


def store(path: str, entries: dict[str, str], most: int) -> None:
    """Keep the newest `most` entries. Written aside and renamed: a reader sees old or new."""
    folder = os.path.dirname(path)
    aside = f"{folder}/.new-{os.urandom(8).hex()}"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return  # what cannot be remembered is asked again: slower, and as right
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in list(entries.items())[-most:])
    os.replace(aside, path)
