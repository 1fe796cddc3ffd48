"""Files come back: by rsync or as a tar stream, the same either way; a hostile one is refused."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import weird
from tests.client.drive import finished
from tests.client.faulty_ssh import FaultySsh

import dobby
from dobby import Client
from dobby.client import unpacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Host
    from tests.gitrepo import Repo

MAKE = """
umask 022; cd $DOBBY_OUTPUTS
mkdir -p deep/er empty; echo a > deep/er/a.csv; echo b > 'b c'
ln -s deep/er/a.csv inside; ln -s er deep/folder; ln -s nowhere dangling
ln -s /etc/passwd outside; ln -s ../../../x deep/outside
ln 'b c' hard; printf '#!/bin/sh\\n' > run; chmod 755 run; chmod 4755 run
mkfifo fifo; touch -d '2001-02-03 04:05:06 UTC' 'b c'
mkdir locked; echo l > locked/l; chmod 555 locked
"""


@pytest.fixture
def client(repo: Repo, host: Host, tmp_path: Path) -> Client:
    return Client(cwd=repo.path)


@pytest.fixture(params=["as it goes", "no rsync here", "rsync fails there"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, host: Host) -> Iterator[str]:
    bashrc = Path(host.sshd.home, ".bashrc") if host.sshd else None
    before = bashrc.read_text() if bashrc else ""
    if request.param == "no rsync here":
        monkeypatch.setattr("dobby.client.fetching.shutil.which", lambda name: None)
    elif request.param == "rsync fails there" and bashrc:
        bashrc.write_text(f"echo words that rsync takes for its protocol\n{before}")
    yield str(request.param)
    if bashrc:
        bashrc.write_text(before)


def tree(root: str) -> dict[str, str]:
    """name -> "link TARGET" or "mode content" of all below `root`."""
    found = {}
    for base, folders, files in os.walk(root):
        for name in (*files, *(f for f in folders if os.path.islink(f"{base}/{f}"))):
            path = f"{base}/{name}"
            if os.path.islink(path):
                found[os.path.relpath(path, root)] = f"link {os.readlink(path)}"
            else:
                found[os.path.relpath(path, root)] = f"{os.stat(path).st_mode:o} {Path(path).read_text()}"
    return found


def test_outputs_arrive_as_they_are(client: Client, host: Host, repo: Repo, way: str) -> None:
    finished(client, host, MAKE)
    got = client.fetch("main", host=host.name)
    assert tree(f"{repo.path}/main") == {
        "b c": "100644 b\n",
        "hard": "100644 b\n",
        "deep/er/a.csv": "100644 a\n",
        "run": "100755 #!/bin/sh\n",
        "locked/l": "100644 l\n",
        "inside": "link deep/er/a.csv",
        "deep/folder": "link er",
        "dangling": "link nowhere",
    }
    assert (got["files"], got["unchanged"], got["differs"]) == (8, 0, [])
    assert sorted(got["outside"]) == ["deep/outside", "outside"]
    assert os.stat(f"{repo.path}/main/b c").st_mtime == 981173106
    assert client.fetch("main", host=host.name)["unchanged"] == 8
    assert not [n for n in os.listdir(f"{repo.path}/main") if n.startswith(".dobby")]
    host.run(["chmod", "-R", "u+w", host.home])


def test_rsync_is_used_over_ssh(client: Client, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("there is no rsync here")
    monkeypatch.setattr("dobby.client.fetching._untar", None)
    finished(client, host, "seq 100000 > $DOBBY_OUTPUTS/numbers")
    if host.sshd is None:
        with pytest.raises(TypeError):
            client.fetch("main", host=host.name)
        return
    heard: list[tuple[str, int, int | None]] = []
    counting = Client(cwd=client._cwd, progress=lambda *words: heard.append(words))
    assert counting.fetch("main", host=host.name)["files"] == 1
    assert heard[-1] == ("fetching", 588895, 588895)


@pytest.mark.parametrize("destination", ["ssh://{user}@127.0.0.1:{port}", "{user}@127.0.0.1"])
def test_rsync_goes_to_any_form_of_destination(
    repo: Repo, ssh_host: Host, destination: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where rsync itself would read host:path otherwise."""
    sshd = ssh_host.sshd
    assert sshd is not None
    with open(f"{sshd.directory}/ssh_config") as config:
        text = config.read().replace("Host dobbytest", "Host *").replace("HostName 127.0.0.1", "")
    program = tmp_path / "an ssh"
    (tmp_path / "config").write_text(text)
    program.write_text(f'#!/bin/sh\nexec ssh -F {tmp_path}/config "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("DOBBY_SSH", str(program))
    monkeypatch.setattr("dobby.client.fetching._untar", None)
    there = type(ssh_host)(destination.format(user=sshd.user, port=sshd.port), ssh_host.home, sshd)
    client = Client(cwd=repo.path)
    finished(client, there, "echo x > $DOBBY_OUTPUTS/x")
    assert client.fetch("main", host=there.name)["files"] == 1


def test_progress_is_told(client: Client, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dobby.client.fetching.shutil.which", lambda name: None)
    finished(client, host, "seq 100000 > $DOBBY_OUTPUTS/numbers")
    heard: list[tuple[str, int, int | None]] = []
    Client(cwd=client._cwd, progress=lambda *words: heard.append(words)).fetch("main", host=host.name)
    assert len(heard) > 2
    assert heard[-1] == ("fetching", 588895, 588895)
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)


def test_what_differs_is_kept(client: Client, host: Host, repo: Repo, way: str) -> None:
    finished(client, host, "cd $DOBBY_OUTPUTS; mkdir d; echo 1 > d/one; echo 2 > two; echo 3 > three")
    to = f"{repo.path}/main"
    os.makedirs(f"{to}/d")
    Path(to, "d/one").write_text("mine\n")
    Path(to, "two").write_text("2\n")
    got = client.fetch("main", host=host.name)
    assert (got["files"], got["unchanged"], got["differs"]) == (1, 1, ["d/one"])
    assert Path(to, "d/one").read_text() == "mine\n"
    got = client.fetch("main", host=host.name, overwrite=True)
    assert (got["files"], got["unchanged"], got["differs"]) == (1, 2, [])
    assert Path(to, "d/one").read_text() == "1\n"


def test_any_name_arrives(client: Client, host: Host, repo: Repo, way: str) -> None:
    names = {n.replace("/", "_") for n in weird.NAMES.values() if len(os.fsencode(n)) < 255}
    words = [f"N{i}={name}" for i, name in enumerate(names)]
    writing = "".join(f'printf {i} > "$DOBBY_OUTPUTS/$N{i}";' for i in range(len(names)))
    finished(client, host, writing, env=words)
    client.fetch("main", host=host.name, to="got")
    assert set(os.listdir(f"{repo.path}/got")) == names


def test_paths_of_the_sandbox(client: Client, host: Host, repo: Repo) -> None:
    finished(client, host, "mkdir -p made/deep; echo 1 > made/deep/x; ln -s /etc away; ln -s made near")
    got = client.fetch("main", ["made/", "README"], host=host.name, to="here")
    assert tree(f"{repo.path}/here").keys() == {"made/deep/x", "README"}
    assert got["files"] == 2
    client.fetch("main", ["."], host=host.name, to="all")
    assert tree(f"{repo.path}/all").keys() == {
        *("made/deep/x", "README", "hello.py", "run.sh", "lib/numbers.txt", "near"),
    }
    assert not os.path.exists(f"{repo.path}/all/.git")
    with pytest.raises(dobby.NotFound, match=r"no no/such in the sandbox"):
        client.fetch("main", ["no/such"], host=host.name, to="none")
    with pytest.raises(dobby.UsageError, match="leads out of the sandbox"):
        client.fetch("main", ["away/passwd"], host=host.name, to="none")
    for path in ("/etc", "../x", "~", "/", "a/../../b"):
        with pytest.raises(dobby.UsageError, match="leaves the checkout"):
            client.fetch("main", [path], host=host.name, to="none")
    assert not os.path.exists(f"{repo.path}/none")


def test_no_file_is_written_through_a_link(client: Client, host: Host, repo: Repo, tmp_path: Path) -> None:
    """An earlier fetch may have brought it."""
    finished(client, host, "mkdir $DOBBY_OUTPUTS/d; echo x > $DOBBY_OUTPUTS/d/x")
    os.makedirs(f"{repo.path}/main")
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", f"{repo.path}/main/d")
    with pytest.raises(dobby.UsageError, match="main/d is no directory here"):
        client.fetch("main", host=host.name, overwrite=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_run_that_kept_nothing_says_so(client: Client, host: Host, repo: Repo) -> None:
    finished(client, host, "true")
    with pytest.raises(dobby.NotFound, match="kept no outputs"):
        client.fetch("main", host=host.name)
    assert not os.path.exists(f"{repo.path}/main")


def test_a_cut_leaves_nothing(
    repo: Repo, ssh_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssh_host.sshd is not None
    ssh = FaultySsh(ssh_host.sshd, str(tmp_path / "faulty"))
    monkeypatch.setenv("DOBBY_SSH", ssh.program)
    monkeypatch.setattr("dobby.client.fetching.shutil.which", lambda name: None)
    client = Client(cwd=repo.path, lasting=False)
    finished(client, ssh_host, "cd $DOBBY_OUTPUTS; echo 1 > a; head -c 3000000 /dev/urandom > b")
    ssh.plan("lose data", "lose done")  # the first one, which says nothing to its last call, is not missed
    with pytest.raises(dobby.Unreachable, match=r"the connection to host .* was lost"):
        client.fetch("main", host=ssh_host.name)
    assert ssh.unused == []
    assert not os.path.exists(f"{repo.path}/main")
    assert client.fetch("main", host=ssh_host.name)["files"] == 2


def test_ctrl_c_leaves_nothing(client: Client, host: Host, repo: Repo) -> None:
    finished(client, host, "head -c 60000000 /dev/zero > $DOBBY_OUTPUTS/large")
    program = (
        "import sys, dobby.client.fetching as f; f.shutil.which = lambda name: None\n"
        "from dobby import Client\n"
        f"client = Client(cwd={repo.path!r}, progress=lambda *words: print(words, flush=True))\n"
        f"client.fetch('main', host={host.name!r})"
    )
    env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(dobby.__file__))}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in said
    assert not os.path.exists(f"{repo.path}/main")


# --- a hostile host --------------------------------------------------------------------------------


def archive(*members: tuple[str, dict[str, Any]]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, fields in members:
            member = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(member, key, value)
            member.size = 4 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"evil") if member.isreg() else None)
    stream.seek(0)
    return stream


LINK, HARD = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}


@pytest.mark.parametrize(
    "members",
    [
        [("../x", {})],
        [("/tmp/x", {})],
        [("a/../../x", {})],
        [("l", {**LINK, "linkname": "/etc"})],
        [("l", {**LINK, "linkname": "../x"})],
        [("a/l", {**LINK, "linkname": "../../x"})],
        [("h", {**HARD, "linkname": "../x"})],
        [("h", {**HARD, "linkname": "/etc/passwd"})],
        [("l", {**LINK, "linkname": "d"}), ("l", {})],
        [("x", {}), ("x", {})],
        [("x", {}), ("x/y", {})],
    ],
    ids=lambda members: " ".join(f"{name}->{fields.get('linkname', '')}" for name, fields in members),
)
def test_members_that_leave_or_collide_are_refused(
    tmp_path: Path, members: list[tuple[str, dict[str, Any]]]
) -> None:
    into = tmp_path / "in" / "to"
    into.mkdir(parents=True)
    with pytest.raises((dobby.DobbyError, OSError)):
        unpacking.extract(archive(*members), str(into))
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted(
        {"in", "to", *(p.name for p in into.rglob("*"))}
    )


def test_nothing_is_written_through_a_link_of_the_same_archive(tmp_path: Path) -> None:
    into = tmp_path / "to"
    into.mkdir()
    unpacking.extract(archive(("d", {"type": tarfile.DIRTYPE}), ("d/x", {"mode": 0o7777})), str(into))
    assert (into / "d/x").read_bytes() == b"evil"
    assert (into / "d/x").stat().st_mode & 0o7000 == 0
    with pytest.raises((dobby.DobbyError, OSError)):
        unpacking.extract(archive(("l", {**LINK, "linkname": "d"}), ("l/y", {})), str(into))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    unpacking.extract(archive(("device", {"type": kind}), ("file", {})), str(tmp_path))
    assert os.listdir(tmp_path) == ["file"]


def test_a_stream_that_ends_early_is_an_error(tmp_path: Path) -> None:
    whole = archive(("file", {})).getvalue()
    with pytest.raises(tarfile.TarError):
        unpacking.extract(io.BytesIO(whole[:514]), str(tmp_path))


def test_the_sender_of_an_unreadable_stream_is_not_waited_for(
    client: Client, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dobby.client.fetching.shutil.which", lambda name: None)
    finished(client, host, "head -c 3000000 /dev/urandom > $DOBBY_OUTPUTS/b")

    def fails(*_: object) -> None:
        raise tarfile.ReadError("bewitched")

    monkeypatch.setattr("dobby.client.unpacking.extract", fails)
    with pytest.raises(dobby.DobbyError, match="could not be unpacked: bewitched"):
        client.fetch("main", host=host.name)
