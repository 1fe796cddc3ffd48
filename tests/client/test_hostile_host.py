"""A host that lies: it gets what belongs to the run, and steers nothing on the laptop."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.drive import finished
from tests.client.liar import Agent, Liar
from tests.conftest import Host

from dobby import Client
from dobby import snapshot as snap
from dobby.client.contents import Contents
from dobby.client.hosts import Hosts
from dobby.client.objects import Sender
from dobby.client.targets import Targets
from dobby.core import protocol
from dobby.core.errors import DobbyError
from dobby.transport import Session

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gitrepo import Repo


# --- what it asks for while a run is launched ----------------------------------------------


@pytest.fixture
def sender(repo: Repo) -> Sender:
    checkout = snap.open_checkout(repo.path)
    snapshot = snap.take(checkout, "main", untracked_limit_bytes=0)
    contents = Contents(checkout, snapshot, {}, lambda *_: None, lambda text: None)
    return Sender(checkout, snapshot, [], contents, lambda *_: None)


def ask(sender: Sender, **question: Any) -> list[bytes]:
    return list(sender.answer(json.dumps(question).encode()))


def test_it_gets_no_other_commit(repo: Repo, sender: Sender) -> None:
    repo.git("checkout", "-q", "-b", "secret")
    secret = repo.commit("secret", {"secret": "x"})
    for want in ([secret], ["refs/heads/secret"], ["HEAD"], ["--all"], [], ["main", secret]):
        with pytest.raises(DobbyError, match="no part of this run"):
            ask(sender, repository="", want=want, have=[], shallow=[])
    with pytest.raises(DobbyError, match="no part of this run"):
        ask(sender, repository="../other", want=[secret], have=[], shallow=[])


def test_its_words_are_no_options_of_git(repo: Repo, sender: Sender, tmp_path: Path) -> None:
    mine, planted = repo.git("rev-parse", "main").strip(), tmp_path / "planted"
    with pytest.raises(DobbyError, match="no part of this run"):
        ask(sender, repository="", want=[f"--output={planted}"], have=["0" * 40], shallow=[])
    odd = [f"--output={planted}", f"{mine}\n--not", "HEAD", 7]
    frames = ask(sender, repository="", want=[mine], have=odd, shallow=odd)
    assert json.loads(frames[0].partition(b"\n")[2]) == {"pack": True, "shallow": []}
    assert frames[1].partition(b"\n")[2].startswith(b"PACK")
    assert not planted.exists()


def test_it_gets_no_file_by_its_path(repo: Repo, sender: Sender, tmp_path: Path) -> None:
    os.makedirs(f"{repo.path}/.git/lfs/objects")
    key = tmp_path / "key"
    key.write_text("a private key")
    way = os.path.relpath(key, f"{repo.path}/.git/lfs")
    assert os.path.isfile(f"{repo.path}/.git/lfs/objects/{way[:2]}/{way[2:4]}/{way}")
    with pytest.raises(DobbyError, match="no SHA-256"):
        ask(sender, repository="", blobs=[[way, len("a private key")]])
    with pytest.raises(DobbyError, match="no part of this run"):
        ask(sender, repository="../x", blobs=[["0" * 64, 1]])


# --- what it answers ------------------------------------------------------------------------

DEEP = b"[" * 100_000
GARBAGE = {
    "an endless reply": (b"MARK here 0\nMARK done 99999999999\n{}", "longer than"),
    "a length of many digits": (b"MARK here 0\nMARK done " + b"9" * 5000 + b"\n{}", "longer than"),
    "no json": (b"MARK here 0\nMARK done 3\n{x}", "no object of JSON"),
    "no object": (b"MARK here 0\nMARK done 2\n[]", "no object of JSON"),
    "no text": (b"MARK here 0\nMARK fail 2\n\xff\xfe", "no object of JSON"),
    "too deep": (b"MARK here 0\nMARK fail %d\n%b" % (len(DEEP), DEEP), "no object of JSON"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_one_sentence(what: str) -> None:
    text, reason = GARBAGE[what]
    with pytest.raises(DobbyError, match=f"host liar sent .*{reason}"):
        Session(Liar(text), Agent).call("list", {})  # type: ignore[arg-type]


def row(**changes: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("project", "label", "run_id", "status", "created_at"), "x")
    return {**texts, "cause": None, "usage": {"cpu_s": None}, "duration_s": 1.5, **changes}


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    """As `list` answers: each row without the names of its fields."""
    return {"fields": list(rows[0]), "runs": [list(one.values()) for one in rows], "unreadable": []}


NO_RUNS = {
    "without runs": ({"fields": [], "unreadable": []}, "an answer without runs"),
    "without fields": ({"runs": [], "unreadable": []}, "an answer without fields"),
    "no list": ({**listed(row()), "runs": {"x": 1}}, "something else than a list"),
    "no sentences": ({**listed(row()), "unreadable": 7}, "something else than a list"),
    "no names": ({**listed(row()), "fields": ["host", ["x"]]}, "a field without a name"),
    "a short one": ({**listed(row()), "runs": [["x"]]}, "a run that is no list of its fields"),
    "an object": ({**listed(row()), "runs": [row()]}, "a run that is no list of its fields"),
    **{
        f"no {key}": (listed(row(), row(**{key: value})), f"whose {key} is no text")
        for key, value in {"label": None, "status": 7, "created_at": ["now"]}.items()
    },
    "a cause": (listed(row(), row(cause="exit")), "whose cause is no object"),
    "a timeout": (listed(row(cause={"timeout_s": "1"})), "whose 'timeout_s' is no"),
    "not a number": (listed(row(duration_s=float("nan")), row()), "whose 'duration_s' is no"),
    "a size": (listed(row(), row(usage={"disk_bytes": []})), "whose 'disk_bytes' is no"),
    "notices": (listed(row(notices=["x"])), "whose notices are no list"),
}


@pytest.mark.parametrize("what", NO_RUNS)
def test_one_host_with_no_runs_that_can_be_shown_is_a_line(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    answer, reason = NO_RUNS[what]
    said = json.dumps(answer).encode()
    well = json.dumps(listed(row())).encode()

    def make(self: Hosts, host: str, alone: bool, *rest: Any) -> Any:
        text = said if host == "liar" else well
        return Liar(b"MARK here 0\nMARK done %d\n%b" % (len(text), text), host)

    monkeypatch.setattr(Hosts, "_make", make)
    monkeypatch.setattr(Hosts, "known", lambda self: ["liar", "well"])
    client = Client(cwd=repo.path)
    for found in (client.ps(), client.history()):
        assert [(r["host"], r["label"]) for r in found.runs] == [("well", "x")]
        assert [h["reachable"] for h in found.hosts] == [False, True]
        assert found.hosts[0]["error"].startswith("host liar sent ")
        assert reason in found.hosts[0]["error"]
    with pytest.raises(DobbyError, match="host liar sent"):
        client.ps(host="liar")


def test_a_line_without_an_end_is_read_in_pieces() -> None:
    noise = b"x" * (3 * protocol.MOST_LINE)
    answer = Session(Liar(noise + b"\nMARK here 0\nMARK done 2\n{}"), Agent).call("list", {})  # type: ignore[arg-type]
    assert answer == {}


# --- what it sends as results -----------------------------------------------------------------

RESULTS = """
cd $DOBBY_OUTPUTS
mkdir -p .git/hooks .GIT deep/er top lib; echo evil > .git/hooks/pre-commit; echo evil > .GIT/config
echo 'gitdir: elsewhere' > lib/.git; echo fine > deep/.gitignore; echo fine > fine
ln -s ../../top deep/er/up; ln -s up/../../x deep/er/away
"""


def test_no_git_directory_and_no_way_out_arrives(repo: Repo, host: Host) -> None:
    client = Client(cwd=repo.path)
    finished(client, host, RESULTS)
    hooks = os.listdir(f"{repo.path}/.git/hooks")
    got = client.fetch("main", host=host.name, to=".")
    assert os.listdir(f"{repo.path}/.git/hooks") == hooks
    assert got["repositories"] == [".GIT", ".git", "lib/.git"]
    assert got["outside"] == ([] if host.sshd else ["deep/er/away"])  # rsync leaves it there itself
    assert not os.path.lexists(f"{repo.path}/deep/er/away")
    assert sorted(os.listdir(f"{repo.path}/deep")) == [".gitignore", "er"]
    assert got["files"] == 3


def test_a_label_is_no_way_out(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(cwd=repo.path)
    finished(client, Host("local", "", None), "echo x > $DOBBY_OUTPUTS/authorized_keys")
    told = Targets.show

    def lie(self: Targets, *words: Any, **more: Any) -> dict[str, Any]:
        answer = told(self, *words, **more)
        return {**answer, "run": {**answer["run"], "label": f"{repo.path}/../elsewhere"}}

    monkeypatch.setattr(Targets, "show", lie)
    with pytest.raises(DobbyError, match="is not allowed"):
        client.fetch("main")
    assert not os.path.exists(f"{repo.path}/../elsewhere")
