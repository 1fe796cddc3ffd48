"""A checkout as a dict, for plans: no disk."""

from __future__ import annotations

import posixpath

from dobby.core.plan import Tools


class DictTree:
    """A `Tree` over {path from the top: text}, seen from `dir`."""

    def __init__(self, files: dict[str, str], dir: str = "", snapshot: str = "s1") -> None:
        self.files, self.dir, self.snapshot = files, dir, snapshot
        self.path = posixpath.join("/box", dir) if dir else "/box"

    def _inside(self, path: str) -> str:
        inside = posixpath.normpath(posixpath.join(self.dir, path))
        return "" if inside == "." else inside

    def names(self, dir: str = "") -> list[str]:
        below = self._inside(dir)
        prefix = f"{below}/" if below else ""
        rests = [p[len(prefix) :] for p in self.files if p.startswith(prefix)]
        return sorted({r.split("/")[0] + ("/" if "/" in r else "") for r in rests})

    def read(self, path: str) -> str | None:
        return self.files.get(self._inside(path))


def tools(*programs: str) -> Tools:
    return Tools(found={p: f"/bin/{p}" for p in programs}, identity="id", where="/env")
