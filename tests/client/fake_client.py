"""A client that records how it is called and answers what a test gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.client.fake_books import FakeChannels, FakeHosts

from dobby.cli.main import main
from dobby.client import Listing, Run
from dobby.config import resolve

if TYPE_CHECKING:
    from dobby.cli.streams import Voice

ROW: dict[str, Any] = {
    "host": "gpu",
    "project": "shop",
    "label": "etl",
    "run_id": "r1",
    "status": "succeeded",
    "exit_code": 0,
    "cause": {"kind": "exit", "code": 0},
    "command": "python etl.py",
    "dir": "",
    "revision": "main",
    "commit": "0123456789" * 4,
    "user": "ann",
    "created_at": "2026-01-01T10:00:00.000Z",
    "started_at": "2026-01-01T10:00:05.000Z",
    "finished_at": "2026-01-01T10:01:17.000Z",
    "duration_s": 72.0,
    "log_bytes": 5,
    "notices": [],
    "note": "",
}


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


class FakeClient:
    """`calls` are (method, positional, keywords). An answer that is an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers = answers
        self.voice: Voice | None = None

    def __call__(self, voice: Voice) -> Any:
        """What `main(connect=…)` wants: makes the client."""
        self.voice = voice
        return self

    def _answer(self, method: str, default: Any, words: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self.calls.append((method, words, named))
        answer = self.answers.get(method, default)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def run(self, *words: Any, follower: Any = None, **named: Any) -> Run:
        return self._launch("run", words, follower, named)

    def restart(self, *words: Any, follower: Any = None, **named: Any) -> Run:
        return self._launch("restart", words, follower, named)

    def _launch(self, method: str, words: tuple[Any, ...], follower: Any, named: dict[str, Any]) -> Run:
        run = Run(row=self._answer(method, row(status="running", cause=None), words, named))
        if follower is None:
            return run
        follower.acknowledged(run)
        how = {"follow": True, "host": run.host, "run": run.run_id, "tail": None, "all": True}
        return Run(row=self.logs(f"{run.project}/{run.label}", follower.write, setup=follower.setup, **how))

    def logs(self, label: str, write: Any, *, setup: Any, **named: Any) -> Any:
        if named["all"]:
            setup(b"set-up\xff\n")
        write(b"job\x1b[2J\xfe\n")
        return self._answer("logs", row(), (label,), named)

    def ps(self, *words: Any, **named: Any) -> Listing:
        return self._listing("ps", words, named)

    def history(self, *words: Any, **named: Any) -> Listing:
        return self._listing("history", words, named)

    def _listing(self, method: str, words: tuple[Any, ...], named: dict[str, Any]) -> Listing:
        hosts = [
            {"host": "gpu", "reachable": True, "error": None},
            {"host": "old", "reachable": False, "error": "no route to host"},
        ]
        runs = self._answer(
            method, [row(), row(run_id="r2", label="web", note="a child is left")], words, named
        )
        return Listing(runs=runs, hosts=hosts)

    def wait(self, *words: Any, **named: Any) -> Any:
        return self._answer("wait", row(), words, named)

    def stop(self, *words: Any, **named: Any) -> Any:
        stopped = row(status="stopped", exit_code=None, cause={"kind": "stopped", "by": "ann"})
        return self._answer("stop", stopped, words, named)

    def clean(self, *words: Any, **named: Any) -> Any:
        cleaned = {"project": "shop", "label": "etl", "host": "gpu", "freed_bytes": 1400}
        return self._answer("clean", {"cleaned": [cleaned], "kept": []}, words, named)

    def fetch(self, *words: Any, **named: Any) -> Any:
        got = {"run": row(), "to": "/x/etl", "files": 2, "bytes": 1400, "unchanged": 1, "differs": []}
        return self._answer("fetch", got, words, named)

    def shell(self, *words: Any, **named: Any) -> Any:
        return self._answer("shell", 7, words, named)

    @property
    def channels(self) -> FakeChannels:
        return FakeChannels(self._answer)

    @property
    def hosts(self) -> FakeHosts:
        return FakeHosts(self._answer)

    def settings(self) -> Any:
        return self._answer("settings", resolve(environ={"DOBBY_HOST": "gpu"}), (), {})


def call(*words: str, client: FakeClient | None = None) -> tuple[int, FakeClient]:
    fake = client or FakeClient()
    return main(list(words), connect=fake), fake
