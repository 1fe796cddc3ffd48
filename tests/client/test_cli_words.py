"""cli: from words to one call of the client, and from its answer to streams and exit codes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.fake_client import call

from dobby.cli import main as cli
from dobby.client import Client

if TYPE_CHECKING:
    from tests.gitrepo import Repo

Capture = pytest.CaptureFixture[bytes]


def refused(capture: Capture, *words: str) -> str:
    """stderr of words that must be refused with 2 before any client is made."""
    code, fake = call(*words)
    assert code == 2, words
    assert fake.voice is None
    out, err = capture.readouterr()
    assert out == b""
    return err.decode()


# --- words -> one call -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "positional", "named"),
    [
        (["run", "main", "make"], ("main", "make"), {}),
        (["run", "-f", "main", "-H", "gpu", "make all", "-l=x"], ("main", "make all"), {"host": "gpu"}),
        (["run", ".", "--", "python", "a b.py", "--all"], (".", "python 'a b.py' --all"), {}),
        (["run", "--host=gpu", "main", "--", "x", "--", "-f"], ("main", "x -- -f"), {"host": "gpu"}),
        (["run", "main", "-x y"], ("main", "-x y"), {}),
        (
            ["run", "main", "m", "-e", "A", "-e", "B=x", "-o", "a", "--output", "b", "--keep", "c"],
            ("main", "m"),
            {"env": ["A", "B=x"], "output": ["a", "b"], "keep": ["c"]},
        ),
        (
            ["run", "main", "m", "--notify", "a@b", "--notify=team"],
            ("main", "m"),
            {"notify": ["a@b", "team"]},
        ),
        (
            ["run", "main", "m", "--timeout", "2h", "--grace", "1s", "--if-running", "queue", "--force"],
            ("main", "m"),
            {"timeout": "2h", "grace": "1s", "if_running": "queue", "force": True},
        ),
        (
            ["run", "main", "m", "--environment", "uv", "--setup", "s", "-d", "sub", "--env-file", "f"],
            ("main", "m"),
            {"environment": ["uv"], "setup": "s", "dir": "sub", "env_file": "f"},
        ),
        (
            ["run", "main", "m", "--repo", "u", "--run-id", "i", "--dry-run"],
            ("main", "m"),
            {"repo": "u", "run_id": "i", "dry_run": True},
        ),
        (["wait", "etl", "--run", "r", "-H", "gpu"], ("etl",), {"host": "gpu", "run": "r"}),
        (["stop", "--grace", "1m", "etl"], ("etl",), {"host": None, "run": None, "grace_s": 60.0}),
        (
            ["restart", "etl", "--same", "-e", "A", "--force"],
            ("etl",),
            {"same": True, "env": ["A"], "env_file": None, "force": True, "host": None, "run": None},
        ),
        (["ps", "a", "b", "-a", "-H", "gpu"], (["a", "b"],), {"all": True, "host": "gpu"}),
        (["ps"], ([],), {"all": False, "host": None}),
        (
            ["history", "--label", "a", "--user", "u", "--status", "lost", "--since", "14d"],
            (),
            {"label": "a", "user": "u", "status": "lost", "since": "14d", "host": None},
        ),
        (
            ["logs", "etl", "--tail", "5"],
            ("etl",),
            {"follow": False, "tail": 5, "all": False, "host": None, "run": None},
        ),
        (
            ["fetch", "etl", "a", "--to", "d", "b", "--overwrite"],
            ("etl", ["a", "b"]),
            {"to": "d", "overwrite": True, "host": None, "run": None},
        ),
        (["shell", "etl"], ("etl",), {"host": None, "run": None}),
        (
            ["clean", "etl", "--older-than", "14d", "--keep-logs", "--outputs"],
            (["etl"],),
            {"all": False, "older_than_s": 14 * 86400.0, "keep_logs": True, "outputs": True, "host": None},
        ),
    ],
)
def test_words_become_one_call(
    words: list[str], positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    _, fake = call(*words)
    (method, got, keywords) = next(c for c in fake.calls if c[0] == words[0])
    assert got == positional
    if words[0] == "run":
        keywords = {k: v for k, v in keywords.items() if k not in ("label",)}
    meanwhile = {k: keywords.pop(k) for k in list(keywords) if k == "meanwhile"}
    assert keywords == named
    keywords.update(meanwhile)
    inspect.signature(getattr(Client, method)).bind(None, *got, *_write_of(method), **keywords)


def _write_of(method: str) -> list[Any]:
    return [print] if method == "logs" else []


def test_what_the_environment_sets_for_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOBBY_DIR", "sub")
    monkeypatch.setenv("DOBBY_HOST", "left to config")
    assert call("run", "main", "m")[1].calls[0][2] == {"dir": "sub"}
    assert call("run", "main", "m", "-d", "other")[1].calls[0][2] == {"dir": "other"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ["no verb"]),
        (["lgos", "x"], ["'lgos'", "did you mean logs?"]),
        (["zzz"], ["'zzz'", "known: run, ps"]),
        (["-H", "gpu", "ps"], ["verb comes before", "write dobby ps -H"]),
        (["run"], ["needs REVISION COMMAND"]),
        (["run", "main"], ["needs COMMAND"]),
        (["run", "main", "--"], ["after it"]),
        (["run", "--", "x"], ["REVISION before --"]),
        (["run", "main", "a", "--", "b"], ["'a'", "after it"]),
        (["run", "main", "python", "etl.py", "--all"], ["dobby run main 'python etl.py --all'", "put --"]),
        (["run", "main", "a", "b", "-H", "gpu"], ["dobby run main 'a b' -H gpu"]),
        (["run", "main", "python", "--all"], ["dobby run main 'python --all'"]),
        (["run", "main", "m", "--hots", "gpu"], ["no option --hots", "did you mean --host?"]),
        (["run", "--zzz", "main", "m"], ["no option --zzz", "dobby run --help"]),
        (["run", "main", "m", "-H"], ["-H/--host: expected one argument"]),
        (["logs"], ["needs LABEL"]),
        (["logs", "a", "b"], ["'b'", "usage: dobby logs LABEL"]),
        (["logs", "a", "--tail", "x"], ["--tail: must be a whole number", "'x'"]),
        (["logs", "a", "--tail", "1", "--all"], ["--all and --tail"]),
        (["logs", "a", "--fol"], ["no option --fol", "did you mean --follow?"]),
        (["stop", "a", "--grace", "soon"], ["--grace: must be a duration"]),
        (["history", "x"], ["'x'"]),
        (["history", "--since", "yesterday"], ["--since: must be a duration"]),
        (["history", "--status", "los"], ["'los'", "did you mean lost?"]),
        (["completion", "tcsh"], ["'tcsh'", "bash, zsh, fish"]),
    ],
)
def test_wrong_words_are_refused_with_a_way_out(
    capsysbinary: Capture, words: list[str], says: list[str]
) -> None:
    err = refused(capsysbinary, *words)
    assert err.startswith("dobby: ")
    for word in says:
        assert word in err


def test_watch_needs_a_terminal(capsysbinary: Capture) -> None:
    code, fake = call("ps", "--watch")
    assert (code, fake.calls) == (2, [])
    assert b"terminal" in capsysbinary.readouterr().err


# --- help, version, start ----------------------------------------------------------------------


def test_help_names_every_verb_and_fits_a_screen(capsysbinary: Capture) -> None:
    assert call("--help")[0] == 0
    text = capsysbinary.readouterr().out.decode()
    for verb in cli.VERBS:
        assert f"\n  {verb} " in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help_with_examples(capsysbinary: Capture, verb: str) -> None:
    assert call(verb, "--help")[0] == 0
    text = capsysbinary.readouterr().out.decode()
    assert text.startswith(f"usage: dobby {verb}")
    assert "\nexamples:\n" in text
    assert call("help", verb)[0] == 0
    assert capsysbinary.readouterr().out.decode() == text


@pytest.mark.parametrize("verb", ["wait", "stop", "restart", "logs", "fetch", "shell"])
def test_verbs_that_take_a_label_take_host_run_and_json(verb: str) -> None:
    assert {"-H", "--host", "--run", "--json"} <= set(cli.load_verb(verb).make_parser().option_kinds)


def test_a_launch_imports_nothing_slow(repo: Repo) -> None:
    """Each of these costs from 4 to 30 ms, between Enter and the first line."""
    repo.write("hello.py", "print('changed')\n")
    code = (
        "import sys\nfrom dobby.cli.main import main\n"
        "before = set(sys.modules)\n"
        "code = main(['run', '.', 'true', '-H', 'local', '-f', '--environment', 'none'])\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)\nsys.exit(code)"
    )
    for _ in range(2):  # the first one packs the agent
        done = subprocess.run(
            [sys.executable, "-I", "-c", code], cwd=repo.path, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr
    new = set(done.stderr.decode().splitlines()[-1].split())
    assert "dobby.client.launching" in new
    assert not sorted(
        new
        & {*("shutil", "socket", "tempfile", "hashlib", "zipfile", "dataclasses", "typing", "lzma", "json")}
    )


def test_the_host_begins_before_what_it_does_not_need_is_imported(repo: Repo) -> None:
    """Decision 0013: while the laptop imports these, the host has nothing to do yet."""
    code = (
        "import os, sys\nfrom dobby.cli.main import main\n"
        "spawn, seen = os.posix_spawnp, set()\n"
        "def look(*args, **how):\n    seen.update(sys.modules)\n    return spawn(*args, **how)\n"
        "os.posix_spawnp = look\n"
        "code = main(['run', 'main', 'true', '-H', 'local', '--environment', 'none'])\n"
        "print(*sorted(seen), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=repo.path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = set(done.stderr.decode().splitlines()[-1].split())
    assert "dobby.program" in seen
    late = {"subprocess", "threading", "contextlib", "dobby.core.request", "dobby.snapshot"}
    assert not seen & late


def test_help_and_version_import_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from dobby.cli.main import main\n"
        "main(['--help']); main(['--version'])\n"
        "print(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    new = {name for name in eval(done.stderr) if not name.startswith("dobby")}
    assert new <= {"__future__", "time", "gc"}  # the last two are built in
    ours = {name for name in eval(done.stderr) if name.startswith("dobby")}
    assert ours == {
        *("dobby", "dobby.cli", "dobby.cli.main", "dobby.cli.streams", "dobby.core", "dobby.core.errors")
    }
