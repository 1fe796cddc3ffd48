"""cli/completing.py, and the scripts in the real shells."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dobby.cli import main as cli
from dobby.cli.completing import FILES, candidates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCES = {
    "labels": lambda: ["etl", "etl-2", "web"],
    "hosts": lambda: ["gpu", "local"],
    "revisions": lambda: [".", "main", "my-branch"],
}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], [*cli.VERBS, "--help", "--version"]),
        (["st"], ["stop"]),
        (["zzz", ""], [FILES]),
        (["logs", ""], ["etl", "etl-2", "web"]),
        (["logs", "etl"], ["etl", "etl-2"]),
        (["logs", "etl", ""], []),
        (["logs", "-f", "w"], ["web"]),
        (["logs", "--tail", "5", "w"], ["web"]),
        (["logs", "--tail", ""], []),
        (["logs", "--ta"], ["--tail"]),
        (["logs", "-H", ""], ["gpu", "local"]),
        (["logs", "--host=l"], ["--host=local"]),
        (["logs", "--host", "=", "l"], ["--host=local"]),
        (["logs", "--host", "="], ["--host=gpu", "--host=local"]),
        (["ps", "etl", "w"], ["web"]),
        (["run", "m"], ["main", "my-branch"]),
        (["run", "-H", "gpu", ""], [".", "main", "my-branch"]),
        (["run", "main", ""], [FILES]),
        (["run", "main", "x", ""], []),
        (["run", "main", "--", "-"], [FILES]),
        (["run", "--if-running", "q"], ["queue"]),
        (["run", "--env-file", ""], [FILES]),
        (["run", "--env-file=x"], [FILES]),
        (["run", "-l", "we"], ["web"]),
        (["fetch", "etl", ""], []),
        (["fetch", "--to", ""], [FILES]),
        (["history", "--status", "lo"], ["lost"]),
        (["completion", "z"], ["zsh"]),
        (["config", ""], []),
    ],
)
def test_candidates(words: list[str], found: list[str]) -> None:
    assert candidates(words, SOURCES) == found


def test_nothing_that_acts_on_a_terminal_is_offered() -> None:
    assert candidates(["logs", ""], {**SOURCES, "labels": lambda: ["a\x1b[2J", "b"]}) == ["b"]


def test_a_broken_settings_file_says_nothing(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.toml").write_text("= =")
    monkeypatch.setenv("DOBBY_CONFIG", str(tmp_path / "broken.toml"))
    assert cli.main(["_complete", "logs", "-H", ""]) == 0
    assert capsysbinary.readouterr() == (b"", b"")


# --- the real shells ---------------------------------------------------------------------------

# Each asks its shell what would stand in place of the last word of $1, one candidate a line.
ASK_BASH = """
eval "$(dobby completion bash)"
read -ra COMP_WORDS <<<"$1"
[ "${1% }" = "$1" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_dobby
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = """
autoload -Uz compinit && compinit -u -d "$HOME/.zcompdump"
eval "$(dobby completion zsh)"
[[ $_comps[dobby] == _dobby ]] || exit 3
compadd() { shift; print -rl -- "$@" }
_files() { print :files }
words=("${(@s: :)1}")
CURRENT=$#words
_dobby
"""
ASK_FISH = """
dobby completion fish | source
complete -C "$argv[1]"
"""
SHELLS = {
    "bash": ["bash", "--noprofile", "--norc", "-c", ASK_BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ASK_ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", ASK_FISH],
}


@pytest.fixture(params=SHELLS)
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], list[str]]:
    """What a real shell would offer for a line; branches main and my-branch, a host that is known."""
    argv = SHELLS[request.param]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    program = tmp_path / "bin" / "dobby"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom dobby.cli.main import main\nsys.exit(main())\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    work = tmp_path / "work"
    work.mkdir()
    (work / "data.csv").touch()
    config = tmp_path / "own.toml"
    config.write_text("[host.gpu-1]\nssh = 'me@gpu'\n")
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "DOBBY_CONFIG": str(config)}
    for words in (
        ["init", "-q", "-b", "main"],
        ["commit", "-q", "--allow-empty", "-m", "x"],
        ["branch", "my-b"],
        ["branch", "q$(reboot)"],
    ):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *words], cwd=work, env=env, check=True)

    def asks(line: str) -> list[str]:
        done = subprocess.run([*argv, line], cwd=work, env=env, capture_output=True, text=True, check=False)
        assert done.stderr == "", done.stderr
        return sorted(word.split("\t")[0] for word in done.stdout.splitlines() if word)

    return asks


def test_real_shells_complete(ask: Callable[[str], list[str]], request: pytest.FixtureRequest) -> None:
    shell = request.node.callspec.params["ask"]
    assert ask("dobby st") == ["stop"]
    assert ask("dobby logs --fo") == ["--follow"]
    assert ask("dobby run m") == ["main", "my-b"]
    # zsh and fish quote what they put in, bash puts in what it is given
    assert ask("dobby run q") == (["q\\$\\(reboot\\)"] if shell == "bash" else ["q$(reboot)"])
    assert ask("dobby run -H ") == ["gpu-1", "local"]
    assert ask("dobby run --if-running ") == ["queue", "refuse", "replace"]
    assert ask("dobby logs no-such-label") == []
    assert ask("dobby run main --env-file da") in (["data.csv"], [":files"])
