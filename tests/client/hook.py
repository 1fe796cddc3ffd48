"""A real HTTP service on loopback that keeps what is posted to it, and answers as it is told."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tests.client.carried import launch, until_open
from tests.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.carried import Carried
    from tests.conftest import Host

    from dobby import Client


class Post(NamedTuple):
    """What arrived, and when (monotonic seconds)."""

    body: dict[str, Any]
    at: float

    @property
    def kind(self) -> str:
        return str(self.body["kind"])


class Hook:
    """`answers` are used up one by one: a status, a status and headers, or HANG, which keeps the
    connection open until `let_go`; then 200."""

    HANG = -1

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}/secret-path"
        self.posts: list[Post] = []
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.let_go = threading.Event()

    def arrived(self, body: dict[str, Any]) -> tuple[int, dict[str, str]]:
        self.posts.append(Post(body, time.monotonic()))
        answer = self.answers.pop(0) if self.answers else 200
        if answer == self.HANG:
            self.let_go.wait(60)
            answer = 200
        return answer if isinstance(answer, tuple) else (answer, {})

    def kinds(self) -> list[str]:
        return [post.kind for post in self.posts]

    def of_run(self, run_id: str) -> list[str]:
        return [post.kind for post in self.posts if post.body["run"]["run_id"] == run_id]

    def wait(self, kind: str, timeout: float = 15.0) -> dict[str, Any]:
        """The first notice of this kind, once it is there."""
        until(lambda: kind in self.kinds(), timeout, evidence=self.kinds)
        return next(post.body for post in self.posts if post.kind == kind)


H = TypeVar("H", bound=Hook)


def serve() -> contextlib.AbstractContextManager[Hook]:
    return serve_as(Hook)


@contextlib.contextmanager
def serve_as(kind: type[H]) -> Iterator[H]:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = hook.arrived(json.loads(data))
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"thanks")

        def log_message(self, *_args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Answers) as server:
        hook = kind(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hook
        finally:
            hook.let_go.set()
            server.shutdown()
            thread.join()


def table(name: str, hook: Hook, **more: str) -> str:
    lines = [f"[channel.{name}]", 'kind = "webhook"', f'url = "{hook.url}"']
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items()), ""])


# --- runs of which it is told ---------------------------------------------------------------------


def configure(host: Host, text: str) -> None:
    """The host's settings, put in place whole, by the account that has the jobs."""
    words = 'mkdir -p -m 700 "$1" && cat > "$1/new" && mv "$1/new" "$1/config.toml"'
    host.run(["sh", "-c", words, "sh", host.home], input=text.encode())


def gated(client: Client, host: Host, gate: str, code: int = 0, **options: Any) -> Carried:
    run = launch(
        client, host, f"echo $$ >> $DOBBY_OUTPUTS/pids; {until_open(gate)}; exit {code}", **options
    )
    run.pids()
    return run


def notices(run: Carried) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.row()["notices"]
    return found


def await_recorded(run: Carried) -> None:
    """What was told of the run so far is recorded, so that whoever dies now does not have it told again."""
    until(lambda: notices(run) and notices(run)[0]["state"] == "sent", evidence=lambda: notices(run))


def outbox(host: Host) -> list[str]:
    return os.listdir(f"{host.home}/outbox")


def await_told(host: Host) -> None:
    until(lambda: not outbox(host), 20, evidence=lambda: outbox(host))
