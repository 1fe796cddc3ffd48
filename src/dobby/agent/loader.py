"""Sent ahead of the archive to a host that lacks this agent; run by the bootstrap's `exec`.

Finds in sys.argv dobby's directory, the call's marker and the digest; in `f` the rest of stdin
(archive length, newline, archive); in `q` the call that had arrived before. Verifies, unpacks,
compiles, moves into place, and then serves the call: one round trip for all. It stands alone:
nothing of dobby can be imported yet.

A child does all but the last. What serves a launch becomes the run's supervisor, and would hold in memory
for as long as the run lives what was imported to unpack and compile: 4 MB.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` has names, which take memory
import marshal
import os
import sys
import time

MADE_AT = 946684800  # as shipping.MADE_AT, which the agent compares when it starts
ABANDONED_S = 3600.0
REFUSED = 3

home, marker, digest = sys.argv[1:4]


def refuse(message: str, hint: str = "") -> None:
    """Answer `fail` in the protocol's frame and end."""
    import json

    reply = json.dumps({"kind": "failed", "message": message, "hint": hint}).encode()
    os.write(1, b"\n%b fail %d\n%b" % (marker.encode(), len(reply), reply))
    os._exit(REFUSED)


def install(archive: bytes, target: str) -> None:
    """Unpack beside `target` and compile; then move into place: the whole, or where an agent is
    already (damaged, of another interpreter, or a caller was faster) file by file, because
    a living supervisor may import from it at any moment. The interpreter's note comes last."""
    import compileall
    import io
    import shutil
    import zipfile

    temp = f"{target}.{os.getpid()}.new"
    os.makedirs(temp, 0o700)
    try:
        zipfile.ZipFile(io.BytesIO(archive)).extractall(temp)
        for path in files(temp):
            os.utime(path, (MADE_AT, MADE_AT))
        compileall.compile_dir(temp, ddir=target, quiet=2, workers=1)
        bundle(temp)
        note_interpreter(f"{temp}/python")
        if not renamed(temp, target):
            for path in sorted(files(temp), key=lambda path: path == f"{temp}/python"):
                place = target + path[len(temp) :]
                os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
                os.replace(path, place)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def bundle(temp: str) -> None:
    """The code of all modules once more, in one file: agent/bundle.py imports from that. Durable: what a
    power cut left of it would be taken for modules."""
    index, codes, at = {}, [], 0
    for path in files(f"{temp}/dobby"):
        folder, name = os.path.split(path)
        if folder.endswith("/__pycache__") and name.endswith(f".{sys.implementation.cache_tag}.pyc"):
            with open(path, "rb") as file:
                code = file.read()[16:]  # behind the head (importlib, PEP 552)
            rel = os.path.dirname(folder)[len(temp) + 1 :] + "/" + name.partition(".")[0]
            is_package = rel.endswith("/__init__")
            module = (rel[: -len("/__init__")] if is_package else rel).replace("/", ".")
            index[module] = (is_package, f"{rel}.py", at, len(code))
            codes.append(code)
            at += len(code)
    head = marshal.dumps(index)
    path = f"{temp}/modules.{sys.implementation.cache_tag}"
    with open(path, "wb") as file:
        file.write(b"%016d" % len(head) + head + b"".join(codes))
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, (MADE_AT, MADE_AT))


def renamed(temp: str, target: str) -> bool:
    try:
        os.rename(temp, target)
    except OSError:
        if os.path.isdir(target):
            return False
        raise
    return True


def files(folder: str) -> list[str]:
    return [f"{base}/{name}" for base, _, names in os.walk(folder) for name in names]


def note_interpreter(path: str) -> None:
    """Durable, and never older than the settings, which might name another."""
    with open(path, "w") as file:
        file.write(os.path.realpath(sys.executable) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        latest = os.stat(f"{home}/config.toml").st_mtime
    except OSError:
        return
    if latest > time.time():
        os.utime(path, (latest, latest))


def sweep(folder: str) -> None:
    """Remove what installations left that were killed."""
    import glob
    import shutil

    for path in glob.glob(f"{glob.escape(folder)}/*.new"):
        try:
            abandoned = os.stat(path).st_mtime < time.time() - ABANDONED_S
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(path, ignore_errors=True)


def remove_if_empty(*folders: str) -> None:
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            return


def make(archive: bytes, target: str) -> None:
    import hashlib

    if hashlib.sha256(archive).hexdigest() != digest:
        refuse("the agent did not arrive whole", "repeat the command: nothing was started")
    try:
        os.makedirs(f"{home}/agent", 0o700, exist_ok=True)
        os.chmod(home, 0o700 | os.stat(home).st_mode & 0o011)  # `readable_by` lets others through
        sweep(f"{home}/agent")
        install(archive, target)
    except OSError as error:
        remove_if_empty(f"{home}/agent", home)
        refuse(
            f"dobby could not be put into {home} on {os.uname().nodename}: {error.strerror or error}",
            "make room there, or set DOBBY_HOME on the host to a place that can be written",
        )


def make_in_a_child(archive: bytes, target: str) -> int:
    """Its exit code; REFUSED where it has said why."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # ignored, it takes the exit codes of children
    try:
        pid = os.fork()
    except OSError as error:
        refuse(f"{os.uname().nodename} could not start a process: {error.strerror}")
    if pid == 0:
        try:
            make(archive, target)
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


account_umask = os.umask(0o077)
stream, call = f, q  # type: ignore[name-defined]  # noqa: F821
target = f"{home}/agent/{digest}"
if code := make_in_a_child(stream.read(int(stream.readline() or 0)), target):
    sys.exit(code != REFUSED)
sys.path.insert(0, target)
from dobby.agent import bundle as modules  # noqa: E402

modules.use(target)
from dobby.agent.main import main  # noqa: E402

os.umask(account_umask)  # it is for the job; main sets dobby's own
main(home, marker, stream, call)
