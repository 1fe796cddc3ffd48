"""All of the agent's modules in one file, which the loader makes beside them.

Python looks for each module in several places and reads two files for it: a third of what a verb's
imports cost. Where the file is not there, is another interpreter's, or has been replaced since, the
modules are imported as ever. A damaged one ends the agent at once: what it lacks would be missed by some
verb later on.

    16 digits, the length of the index; the index: marshal of name -> (is a package, path from the
    top, offset, size); the modules' code, each as it stands in its .pyc behind the head
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Optional

HEAD = 16
_SPEC: Any = type(sys.__spec__)  # importlib's ModuleSpec, without importing that


def use(top: str) -> None:
    """Import from now on what is in the bundle of the agent at `top`. Raises what a damaged one leads to:
    an agent that ends before its first word is sent again (shipping.py)."""
    path = f"{top}/modules.{sys.implementation.cache_tag}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        data = os.read(fd, os.fstat(fd).st_size)
        base = HEAD + int(data[:HEAD])
        index = marshal.loads(data[HEAD:base])  # noqa: S302 - as the modules themselves
        if len(data) != base + sum(entry[3] for entry in index.values()):
            raise EOFError(f"{path} is cut short")
        sys.meta_path.insert(0, Finder(top, path, _stamp(fd), base, index, data))
    finally:
        os.close(fd)


def settle() -> None:
    """What is usually imported has been: what comes later is read from the file when it comes."""
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            finder.data = None


def _stamp(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_ino, found.st_ctime_ns


class Finder:
    """Finder and loader in one (importlib.abc). No descriptor stays open: a steward closes all. `data` is
    the whole file, until `settle`: one read instead of one for each of a launch's hundred modules."""

    def __init__(
        self,
        top: str,
        path: str,
        stamp: tuple[int, int],
        base: int,
        index: dict[str, Any],
        data: Optional[bytes] = None,
    ) -> None:
        self.data = data
        self._top, self._path, self._stamp, self._base, self._index = top, path, stamp, base, index

    def find_spec(self, name: str, path: object = None, target: object = None) -> Optional[Any]:
        if name not in self._index:
            return None
        is_package, rel, offset, size = self._index[name]
        code = self._read(self._base + offset, size)
        if code is None:
            return None
        origin = f"{self._top}/{rel}"
        spec: Any = _SPEC(name, self, origin=origin, loader_state=code, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(origin)]
        return spec

    def _read(self, at: int, size: int) -> Optional[bytes]:
        if self.data is not None:
            return self.data[at : at + size]
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return os.pread(fd, size, at) if _stamp(fd) == self._stamp else None
        finally:
            os.close(fd)

    def create_module(self, spec: object) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        code, spec.loader_state = spec.loader_state, None
        exec(marshal.loads(code), module.__dict__)  # noqa: S102, S302 - as importlib does
