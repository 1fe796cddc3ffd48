"""cli: what goes to stdout and to stderr, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.fake_client import FakeClient, call, row

from dobby.cli import outcome
from dobby.core.errors import Busy, DobbyError, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[bytes]


def test_run_prints_the_run_id_alone(capsysbinary: Capture) -> None:
    assert call("run", "main", "m")[0] == 0
    out, err = capsysbinary.readouterr()
    assert out == b"r1\n"
    assert b"follow with: dobby logs etl -f\n" in err


def test_run_json_is_the_contracts_object(capsysbinary: Capture) -> None:
    assert call("run", "main", "m", "--json")[0] == 0
    answer = json.loads(capsysbinary.readouterr().out)
    fields = ["schema", "host", "project", "label", "run_id", "revision", "commit", "status", "log_command"]
    assert list(answer)[:9] == fields
    assert answer["status"] == "running"


def test_a_dry_run_prints_no_run_id(capsysbinary: Capture) -> None:
    assert call("run", "main", "m", "--dry-run")[0] == 0
    assert capsysbinary.readouterr().out == b""


@pytest.mark.parametrize(
    "words", [["run", "main", "m", "-f"], ["restart", "etl", "-f"], ["logs", "etl", "-f"]]
)
def test_following_gives_the_jobs_bytes_and_its_code(capsysbinary: Capture, words: list[str]) -> None:
    failed = row(status="failed", exit_code=3, cause={"kind": "exit", "code": 3})
    code, fake = call(*words, client=FakeClient(logs=failed))
    assert code == 3
    out, err = capsysbinary.readouterr()
    assert out == b"job\x1b[2J\xfe\n"
    assert b"set-up\xff\n" in err
    assert b"etl on gpu: failed (exit 3) after 1m12s\n" in err
    assert fake.calls[-1][2]["follow"] is True
    if words[0] != "logs":
        assert fake.calls[-1] == (
            "logs",
            ("shop/etl",),
            {"follow": True, "host": "gpu", "run": "r1", "tail": None, "all": True},
        )


def test_following_with_json_keeps_stdout_for_the_object(capsysbinary: Capture) -> None:
    assert call("run", "main", "m", "-f", "--json")[0] == 0
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["status"] == "succeeded"
    assert b"set-up\xff\njob\x1b[2J\xfe\n" in err


def test_logs_all_gives_the_whole_file_to_stdout(capsysbinary: Capture) -> None:
    failed = FakeClient(logs=row(status="failed", cause={"kind": "exit", "code": 3}))
    assert call("logs", "etl", "--all", client=failed)[0] == 0
    assert capsysbinary.readouterr().out == b"set-up\xff\njob\x1b[2J\xfe\n"


def test_interrupted_while_following_detaches(capsysbinary: Capture) -> None:
    code, _ = call("run", "main", "m", "-f", client=FakeClient(logs=KeyboardInterrupt()))
    assert code == 130
    err = capsysbinary.readouterr().err
    assert b"the job goes on, come back with: dobby logs shop/etl -H gpu --run r1 -f" in err
    code, _ = call("wait", "etl", client=FakeClient(wait=KeyboardInterrupt()))
    assert code == 130
    assert b"the job goes on: dobby wait etl" in capsysbinary.readouterr().err


def test_interrupted_elsewhere_is_quiet(capsysbinary: Capture) -> None:
    assert call("ps", client=FakeClient(ps=KeyboardInterrupt()))[0] == 130
    assert capsysbinary.readouterr() == (b"", b"")


def test_ps_to_a_pipe(capsysbinary: Capture) -> None:
    assert call("ps")[0] == 0
    out, err = capsysbinary.readouterr()
    lines = out.decode().splitlines()
    assert lines[0].split()[:3] == ["LABEL", "HOST", "STATUS"]
    assert lines[1].split()[:3] == ["etl", "gpu", "succeeded"]
    assert err == b"web on gpu: a child is left\nold did not answer: no route to host\n"


def test_ps_of_one_run(capsysbinary: Capture) -> None:
    _, fake = call("ps", "--run", "r2", "--json")
    assert fake.calls[0][2]["all"] is True
    assert [r["run_id"] for r in json.loads(capsysbinary.readouterr().out)["runs"]] == ["r2"]


def test_ps_and_history_as_json(capsysbinary: Capture) -> None:
    for verb in ("ps", "history"):
        assert call(verb, "--json")[0] == 0
        answer = json.loads(capsysbinary.readouterr().out)
        assert list(answer) == ["schema", "runs", "hosts"]
        assert answer["runs"][0]["run_id"] == "r1"
        assert answer["hosts"][1] == {"host": "old", "reachable": False, "error": "no route to host"}


def test_wait_and_stop(capsysbinary: Capture) -> None:
    lost = row(status="lost", exit_code=None, cause={"kind": "rebooted"})
    assert call("wait", "etl", client=FakeClient(wait=lost))[0] == 125
    assert capsysbinary.readouterr() == (b"", b"etl on gpu: lost (host rebooted) after 1m12s\n")
    assert call("wait", "etl", "--json", client=FakeClient(wait=lost))[0] == 125
    assert json.loads(capsysbinary.readouterr().out)["cause"] == {"kind": "rebooted"}
    assert call("stop", "etl")[0] == 0
    assert b"stopped (by ann)" in capsysbinary.readouterr().err


def test_clean_says_what_was_kept_and_why(capsysbinary: Capture) -> None:
    job = {"project": "shop", "label": "web", "host": "gpu", "reason": "it is running"}
    kept = FakeClient(clean={"cleaned": [], "kept": [job]})
    assert call("clean", "web", client=kept)[0] == 1
    assert b"shop/web  gpu   kept: it is running\n" in capsysbinary.readouterr().out
    assert call("clean", "--all", client=kept)[0] == 0
    done = {"project": "shop", "label": "web", "host": "gpu", "freed_bytes": 1400}
    outputs = FakeClient(clean={"cleaned": [done], "kept": [{**job, "reason": "outputs of 3 bytes"}]})
    assert call("clean", "web", client=outputs)[0] == 0
    assert b"freed 1.4 kB" in capsysbinary.readouterr().out


def test_fetch_fails_where_a_file_differs(capsysbinary: Capture) -> None:
    assert call("fetch", "etl")[0] == 0
    assert capsysbinary.readouterr() == (b"", b"fetched 2 files (1.4 kB) into /x/etl; 1 unchanged\n")
    got = {"to": "/x", "files": 0, "bytes": 0, "unchanged": 0, "differs": ["a\x1bb"]}
    assert call("fetch", "etl", client=FakeClient(fetch=got))[0] == 1
    assert b"--overwrite replaces them):\n  a\\x1bb\n" in capsysbinary.readouterr().err


def test_shell_exits_as_the_shell_does() -> None:
    assert call("shell", "etl")[0] == 7


def test_config_shows_values_and_sources(capsysbinary: Capture) -> None:
    assert call("config")[0] == 0
    assert b"gpu" in capsysbinary.readouterr().out
    assert call("config", "--json")[0] == 0
    settings = json.loads(capsysbinary.readouterr().out)["settings"]
    assert settings["host"]["value"] == "gpu"
    assert settings["host"]["source"] == "$DOBBY_HOST"
    assert settings["timeout"]["value"] is None


# --- exit codes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"status": "failed", "cause": {"kind": "exit", "code": 255}}, 255),
        ({"status": "failed", "cause": {"kind": "signal", "number": 15, "name": "SIGTERM"}}, 143),
        ({"status": "failed", "cause": {"kind": "out_of_memory"}}, 137),
        ({"status": "failed", "cause": {"kind": "environment", "step": "x"}}, 125),
        ({"status": "failed", "cause": {"kind": "internal", "message": "x"}}, 125),
        ({"status": "stopped", "cause": {"kind": "stopped", "by": "x"}}, 130),
        ({"status": "timed_out", "cause": {"kind": "timeout", "timeout_s": 1}}, 124),
        ({"status": "lost", "cause": {"kind": "supervisor_killed"}}, 125),
    ],
)
def test_the_exit_code_of_a_run(changes: dict[str, Any], code: int) -> None:
    assert outcome.exit_code(row(**changes)) == code


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (DobbyError("not done", "do this"), 1, "failed"),
        (Unreachable("gpu cannot be reached", "do this"), 69, "unreachable"),
        (Busy("etl is held", "do this", holder={"run_id": "r0"}), 75, "busy"),
    ],
)
def test_errors_are_a_sentence_a_hint_and_a_code(
    capsysbinary: Capture, error: DobbyError, code: int, kind: str
) -> None:
    assert call("stop", "etl", client=FakeClient(stop=error))[0] == code
    assert capsysbinary.readouterr() == (b"", f"dobby: {error.message}\n  do this\n".encode())
    assert call("stop", "etl", "--json", client=FakeClient(stop=error))[0] == code
    out, err = capsysbinary.readouterr()
    answer = json.loads(err)
    assert out == b""
    assert answer["schema"] == 1
    assert list(answer["error"])[:3] == ["kind", "message", "hint"]
    assert answer["error"]["kind"] == kind


def test_wrong_words_as_json(capsysbinary: Capture) -> None:
    assert call("logs", "--json")[0] == 2
    assert json.loads(capsysbinary.readouterr().err)["error"]["kind"] == "usage"
    assert call("run", "main", "a", "--", "--json")[0] == 2
    assert capsysbinary.readouterr().err.startswith(b"dobby: ")


def test_a_message_cannot_act_on_the_terminal(capsysbinary: Capture) -> None:
    call("stop", "etl", client=FakeClient(stop=DobbyError("bad \x1b]52;c;x\x07 \udc80", "\x9b2J")))
    assert capsysbinary.readouterr().err == b"dobby: bad \\x1b]52;c;x\\x07 \\udc80\n  \\x9b2J\n"


def test_a_bug_of_ours_is_kept_in_a_private_file(
    capsysbinary: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    old = os.umask(0)
    try:
        code, _ = call("stop", "etl", client=FakeClient(stop=ZeroDivisionError("oops")))
    finally:
        os.umask(old)
    assert code == 70
    (path,) = (tmp_path / "dobby").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "dobby").stat().st_mode & 0o777 == 0o700
    assert "ZeroDivisionError: oops" in path.read_text()
    err = capsysbinary.readouterr().err.decode()
    assert str(path) in err
    assert "Traceback" not in err


HELP = "import sys; from dobby.cli.main import main; sys.exit(main(['--help']))"


def help_to(stdout: int) -> tuple[int, bytes]:
    """Exit code and stderr of `dobby --help` with its stdout there."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", HELP], stdout=stdout, stderr=subprocess.PIPE, check=False
    )
    return done.returncode, done.stderr


def test_a_reader_that_has_gone_is_no_news() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert help_to(writing) == (141, b"")
    finally:
        os.close(writing)


def test_a_full_disk_is_said() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert help_to(full) == (1, b"dobby: stdout cannot be written: No space left on device\n")
    finally:
        os.close(full)


def test_stdout_may_be_closed() -> None:
    argv = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-I", "-c", HELP]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_program_ends_at_once_with_its_code_and_all_it_said() -> None:
    script = (
        "import atexit, sys; atexit.register(print, 'taken to pieces'); "
        "from dobby.cli.main import program; print('text ', end=''); sys.argv[1:] = {words}; program()"
    )
    for words, code in (["--version"], 0), (["no-verb"], 2):
        argv = [sys.executable, "-c", script.format(words=words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert "text " in done.stdout
        assert "pieces" not in done.stdout
        assert bool(done.stderr) == bool(code)
