"""The services that channels speak to, real ones on loopback: HTTP (a webhook, Slack's two
endpoints) and SMTP. Each answers as it is told to, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiosmtpd.smtp import SMTP, Envelope, Session

# Made for these tests, and trusted nowhere else: localhost, for a hundred years.
TLS = os.path.join(os.path.dirname(__file__), "tls")
CERTIFICATE = f"{TLS}/cert.pem"


def tls() -> ssl.SSLContext:
    """A certificate of localhost that nobody trusts who is not told to (SSL_CERT_FILE)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, f"{TLS}/key.pem")
    return context


# --- HTTP ------------------------------------------------------------------------------------


class Asked:
    """A request as it came: `path`, `headers` (names in lower case), `content` (JSON)."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Http:
    """`answers` are given in turn: (status, headers, body), or "hang" until the end, or "drop";
    once they are used up, `usual`. `asked` holds what came, in order."""

    def __init__(self, url: str, usual: tuple[int, dict[str, str], str]) -> None:
        self.url, self.usual = url, usual
        self.answers: list[Any] = []
        self.asked: list[Asked] = []
        self.over = threading.Event()

    def say(self, status: int, body: str = "", **headers: str) -> None:
        """The next answer that is not given yet. `headers`: Retry_After="7"."""
        self.answers.append((status, {k.replace("_", "-"): v for k, v in headers.items()}, body))


@contextlib.contextmanager
def http(usual: str = "ok", *, encrypted: bool = False) -> Iterator[Http]:
    service: Http

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append(Asked(self.path, headers, body))
            answer = service.answers.pop(0) if service.answers else service.usual
            if answer == "hang":
                service.over.wait()
            if answer in ("hang", "drop"):
                self.close_connection = True
                return
            status, extra, text = answer
            self.send_response(status)
            for name, value in {**extra, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing: the tests read `asked`."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that goes away is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if encrypted:
        server.socket = tls().wrap_socket(server.socket, server_side=True)
    scheme, name = ("https", "localhost") if encrypted else ("http", "127.0.0.1")
    service = Http(f"{scheme}://{name}:{server.server_port}", (200, {}, usual))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# --- SMTP ------------------------------------------------------------------------------------

USER, PASSWORD = "jobs@example.org", "canary-Pa55"


class Mail:
    """`letters` are (sender, recipients, bytes). `refusals`: what is answered to RCPT, by address;
    `answer` is what DATA gets; `hangs`: it never answers DATA."""

    def __init__(self) -> None:
        self.port = 0
        self.letters: list[tuple[str, list[str], bytes]] = []
        self.refusals: dict[str, str] = {}
        self.answer = "250 OK queued as 42"
        self.logins: list[str] = []
        self.encrypted: list[bool] = []
        self.hangs = False

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs:
            await asyncio.Event().wait()
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        content = envelope.content
        assert isinstance(content, bytes)
        if self.answer.startswith("250"):
            self.letters.append((str(envelope.mail_from), list(envelope.rcpt_tos), content))
        return self.answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, kind: str, given: Any
    ) -> AuthResult:
        ok = isinstance(given, LoginPassword) and given == LoginPassword(USER.encode(), PASSWORD.encode())
        self.logins.append(kind)
        return AuthResult(success=ok, handled=True) if ok else AuthResult(success=False, handled=False)


class _AnyPort(Controller):
    """As it is, but on a port that the system chooses, which `Controller` asks for and forgets."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.base_events.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def smtp(*, starttls: bool = False, encrypted: bool = False, login: bool = False) -> Iterator[Mail]:
    mail = Mail()
    controller = _AnyPort(
        mail,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls() if encrypted else None,
        tls_context=tls() if starttls else None,
        require_starttls=starttls,
        auth_required=login,
        auth_require_tls=False,
        authenticator=mail.authenticate if login else None,
    )
    controller.start()
    try:
        mail.port = controller.port
        yield mail
    finally:
        controller.stop()
