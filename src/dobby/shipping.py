"""The agent as bytes: `core` and `agent` in one archive, named by its SHA-256.

Packed once per installed version and kept in the cache directory; a call then needs the
digest alone, and the archive only where a host asks for it.
"""

from __future__ import annotations

import os

from dobby.core.digest import sha256
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from zipfile import ZipInfo

ROOMS = ("core", "agent")
MADE_AT = 946684800  # 2000-01-01: what the loader gives to every file
# An installed file that is not as the loader left it (by its time) has been altered: then the
# caller sends the agent again, as where there is none. A supervisor is its own caller. Where one file has
# the code of all modules, no other is read but what leads to it.
_MAIN = """\
import gc, os, sys
gc.disable()  # until all is imported: nothing of that is garbage
here = os.path.dirname(os.path.abspath(__file__))
home, marker = sys.argv[1:3]
stream, first = open(0, "rb", closefd=False), None
modules = f"modules.{sys.implementation.cache_tag}"
leading = ("main.py", "enter.py", "dobby/__init__.py", "dobby/agent/__init__.py", "dobby/agent/bundle.py")
read = (*leading, modules) if os.path.exists(f"{here}/{modules}") else (".",)

def altered(path):
    if os.path.isdir(path):
        return any(altered(f"{path}/{name}") for name in os.listdir(path) if name != "__pycache__")
    return path.endswith((".py", modules)) and os.stat(path).st_mtime != MADE_AT

if marker != "supervise" and any(altered(f"{here}/{name}") for name in read):
    os.write(1, b"%b need 0\\n" % marker.encode())
    f, take = stream, lambda: stream.read(int(stream.readline()))
    take()  # what was said ahead
    q = take()
    sys.argv.append(os.path.basename(here))
    exec(take())
else:
    sys.path.insert(0, here)
    from dobby.agent import bundle
    bundle.use(here)
    from dobby.agent.main import main
    main(home, marker, stream)
"""
_ENTER = """\
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from dobby.agent import bundle
bundle.use(here)
from dobby.agent.verbs.shell import enter
enter(os.fsdecode(bytes.fromhex(sys.argv[1])))
"""


class Agent(Record):
    """`digest` (hex) of the archive at `path`, and the `loader`'s source to send before it."""

    digest: str
    path: str

    def archive(self) -> bytes:
        """Packed again where the file kept here is not what its name says."""
        with open(self.path, "rb") as file:
            archive = file.read()
        if sha256(archive).hexdigest() != self.digest:
            archive = pack(_sources())
            _write(self.path, archive)
        return archive

    def loader(self) -> bytes:
        with open(f"{_here()}/agent/loader.py", "rb") as file:
            return file.read()


def agent(cache_dir: str) -> Agent:
    """The agent of this installation; packed into `cache_dir` when its sources have changed."""
    sources = _sources()
    note = f"{cache_dir}/agent-{_state(sources)}"
    try:
        with open(note) as file:
            digest = file.read().strip()
        path = f"{cache_dir}/{digest}.zip"
        if os.path.exists(path):
            return Agent(digest=digest, path=path)
    except OSError:
        pass
    os.makedirs(cache_dir, 0o700, exist_ok=True)
    archive = pack(sources)
    digest = sha256(archive).hexdigest()
    _write(f"{cache_dir}/{digest}.zip", archive)
    _write(note, digest.encode())
    return Agent(digest=digest, path=f"{cache_dir}/{digest}.zip")


def pack(sources: list[tuple[str, str]]) -> bytes:
    """A zip, the same bytes for the same sources."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        main = f"MADE_AT = {MADE_AT}\n{_MAIN}"
        for name, text in (("main.py", main), ("enter.py", _ENTER), ("dobby/__init__.py", "")):
            archive.writestr(_entry(zipfile, name), text, compresslevel=9)
        for name, path in sources:
            with open(path, "rb") as file:
                archive.writestr(_entry(zipfile, name), file.read(), compresslevel=9)
    return buffer.getvalue()


def _entry(zipfile: ModuleType, name: str) -> ZipInfo:
    entry: ZipInfo = zipfile.ZipInfo(name)  # its date is fixed: 1980
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _here() -> str:
    return os.path.dirname(os.path.abspath(__file__))


def _sources() -> list[tuple[str, str]]:
    """(name in the archive, path) of every module that is shipped, sorted."""
    found, folders = [], [f"{_here()}/{room}" for room in ROOMS]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    found.append((f"dobby{entry.path[len(_here()) :]}", entry.path))
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    return sorted(found)


def _state(sources: list[tuple[str, str]]) -> str:
    """Changes when a source file does: names, sizes and times, no content read."""
    state = sha256(f"{MADE_AT}{_MAIN}{_ENTER}".encode())
    for name, path in sources:
        stat = os.stat(path)
        state.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return state.hexdigest()[:24]


def _write(path: str, data: bytes) -> None:
    temp = f"{path}.{os.urandom(4).hex()}"
    with open(temp, "wb") as file:
        file.write(data)
    os.replace(temp, path)
