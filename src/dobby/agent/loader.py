"""Sent ahead of the archive to a host that lacks this agent; run by the bootstrap's `exec`.

Finds in sys.argv dobby's directory, the call's marker and the digest; in `f` the rest of stdin
(archive length, newline, archive); in `q` the call that had arrived before. Verifies, unpacks,
compiles, renames into place, and then serves the call: one round trip for all. It stands alone:
nothing of dobby can be imported yet.
"""

import compileall
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile

home, marker, digest = sys.argv[1:4]


def refuse(message, hint=""):  # type: ignore[no-untyped-def]
    """Answer `fail` in the protocol's frame and end."""
    reply = json.dumps({"kind": "failed", "message": message, "hint": hint}).encode()
    os.write(1, b"\n%b fail %d\n%b" % (marker.encode(), len(reply), reply))
    sys.exit(0)


def install(archive, target):  # type: ignore[no-untyped-def]
    """Unpack beside `target`, compile, note the interpreter, rename."""
    temp = f"{target}.{os.getpid()}.new"
    os.makedirs(temp, 0o700)
    try:
        zipfile.ZipFile(io.BytesIO(archive)).extractall(temp)
        compileall.compile_dir(temp, quiet=2, workers=1)
        with open(f"{temp}/python", "w") as file:
            file.write(os.path.realpath(sys.executable) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if os.path.isdir(target):  # damaged, or made for an interpreter that is gone
            os.rename(target, f"{temp}.old")
        os.rename(temp, target)
    finally:
        shutil.rmtree(temp, ignore_errors=True)
        shutil.rmtree(f"{temp}.old", ignore_errors=True)


os.umask(0o077)
stream, call = f, q  # type: ignore[name-defined]  # noqa: F821
archive = stream.read(int(stream.readline() or 0))
if hashlib.sha256(archive).hexdigest() != digest:
    refuse("the agent did not arrive whole", "repeat the command: nothing was started")
target = f"{home}/agent/{digest}"
try:
    os.makedirs(home, 0o700, exist_ok=True)
    os.chmod(home, 0o700)
    install(archive, target)
except OSError as error:
    if not os.path.exists(f"{target}/python"):  # else another caller was faster
        refuse(
            f"dobby could not be put into {home} on {os.uname().nodename}: {error.strerror or error}",
            "make room there, or set DOBBY_HOME on the host to a place that can be written",
        )
sys.path.insert(0, target)
from dobby.agent.main import main  # noqa: E402

main(home, marker, stream, call)
