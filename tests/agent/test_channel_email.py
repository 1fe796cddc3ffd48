"""E-mail through a real SMTP server: logins, refusals, and one that hangs."""

from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent import services
from tests.agent.services import CERTIFICATE, PASSWORD, USER, Mail
from tests.core import told

from dobby.agent.channels import email as channel
from dobby.core.errors import UsageError
from dobby.core.notices import Delivery, Later, Notice, Refused

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # on purpose

TO = "ann@example.org"
LOGIN = {"password": PASSWORD, "from": "dobby@example.org"}


def send(
    settings: dict[str, Any], notice: Notice = told.FAILED, to: str = TO, log_lines: bool = True
) -> str:
    channel.check(settings)
    delivery = Delivery(
        event_id=notice.event_id, kind=notice.kind, channel="mail", to=to, log_lines=log_lines
    )
    return channel.send(settings, notice, delivery, {})


def plain(mail: Mail, **more: str) -> dict[str, Any]:
    return {"smtp": f"smtp+plain://127.0.0.1:{mail.port}", "from": "dobby@example.org", **more}


def parsed(mail: Mail) -> EmailMessage:
    (_, _, content) = mail.letters[-1]
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """This host trusts the services' certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)


def test_a_letter_arrives_with_both_parts() -> None:
    with services.smtp() as mail:
        assert send(plain(mail)) == "250 OK queued as 42"
    ((sender, recipients, _),) = mail.letters
    assert (sender, recipients) == ("dobby@example.org", [TO])
    message = parsed(mail)
    assert message["Subject"] == "[dobby] etl failed (exit 1) after 2 h 3 min"
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    body = message.get_body(("plain",))
    assert body is not None
    assert "KeyError: 'price'" in body.get_content()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("scheme", "options"), [("smtp", {"starttls": True}), ("smtps", {"encrypted": True})]
)
def test_a_login_is_sent_encrypted(scheme: str, options: dict[str, bool]) -> None:
    with services.smtp(login=True, **options) as mail:
        server = f"{scheme}://{USER.replace('@', '%40')}@localhost:{mail.port}"
        assert send({"smtp": server, **LOGIN}) == "250 OK queued as 42"
    assert (mail.encrypted, len(mail.logins)) == ([True], 1)


@pytest.mark.usefixtures("trusted")
def test_a_bad_login_is_told_without_the_password_and_tried_again() -> None:
    with (
        services.smtp(login=True, starttls=True) as mail,
        pytest.raises(Later, match="login was refused: 535") as e,
    ):
        send({"smtp": f"smtp://someone@localhost:{mail.port}", "password": "wrong-canary"})
    assert "wrong-canary" not in e.value.message
    assert mail.letters == []


def test_without_starttls_no_password_is_sent() -> None:
    with services.smtp(login=True) as mail, pytest.raises(Later, match="offers no STARTTLS"):
        send({"smtp": f"smtp://someone@127.0.0.1:{mail.port}", **LOGIN})
    assert mail.logins == []


@pytest.mark.parametrize(
    ("scheme", "options"), [("smtp", {"starttls": True}), ("smtps", {"encrypted": True})]
)
def test_a_certificate_that_is_not_trusted_stops_it(scheme: str, options: dict[str, bool]) -> None:
    with (
        services.smtp(**options) as mail,
        pytest.raises(Later, match="its certificate is not trusted here: self"),
    ):
        send({"smtp": f"{scheme}://localhost:{mail.port}"})
    assert mail.letters == []


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("550 no such user", Refused), ("450 mailbox busy", Later), ("421 too busy", Later)],
)
def test_a_refused_recipient(answer: str, verdict: type[Later] | type[Refused]) -> None:
    with services.smtp() as mail:
        mail.refusals[TO] = answer
        with pytest.raises(verdict, match=f"the recipient: {answer}"):
            send(plain(mail))
    assert mail.letters == []


@pytest.mark.parametrize(("answer", "verdict"), [("554 spam", Refused), ("451 full", Later)])
def test_a_refused_message(answer: str, verdict: type[Later] | type[Refused]) -> None:
    with services.smtp() as mail:
        mail.answer = answer
        with pytest.raises(verdict, match=f"the message: {answer}"):
            send(plain(mail))


def test_a_server_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PATIENCE_S", 0.2)
    with services.smtp() as mail:
        mail.hangs = True
        with pytest.raises(Later, match="did not answer in time"):
            send(plain(mail))


def test_nobody_there() -> None:
    with services.smtp() as mail:
        settings = plain(mail)
    with pytest.raises(Later, match="it cannot be reached: Connection refused"):
        send(settings)


def test_lines_of_the_log_only_where_they_may_go() -> None:
    with services.smtp() as mail:
        send(plain(mail), log_lines=False)
    assert b"price" not in mail.letters[0][2]


def test_notices_of_a_run_are_one_thread_and_a_repetition_is_the_same_letter() -> None:
    with services.smtp() as mail:
        for notice in (told.STARTED, told.FAILED, told.FAILED):
            send(plain(mail), notice)
    first, second, again = (email.message_from_bytes(content) for _, _, content in mail.letters)
    assert first["Message-ID"] == "<20260102T030405-abcdef0123.started@shop.dobby>"
    assert second["References"] == second["In-Reply-To"] == first["Message-ID"]
    assert mail.letters[1] == mail.letters[2]
    assert again["Message-ID"] == "<20260102T030405-abcdef0123.failed@shop.dobby>"


def test_hostile_words_make_no_header_no_tag_and_no_part() -> None:
    with services.smtp() as mail:
        send(plain(mail), told.EVIL)
    message = parsed(mail)
    assert message["X-Evil"] is None
    assert len(list(message.walk())) == 3
    html = message.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "&lt;script&gt;" in html.get_content()
    assert not any(ord(c) < 32 and c not in "\n\t" for c in html.get_content().replace("\r\n", "\n"))


# --- sendmail --------------------------------------------------------------------------------


@pytest.fixture
def sendmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's sendmail that keeps its words and what it is given."""
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\ncat > {tmp_path}/letter\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_sendmail_is_given_the_letter(sendmail: Path) -> None:
    assert send({"smtp": "sendmail", "from": "dobby@example.org"}) == "sendmail took it"
    assert (sendmail / "words").read_text().split() == ["-i", "-f", "dobby@example.org", "--", TO]
    letter = (sendmail / "letter").read_bytes()
    assert letter.startswith(b"From: dobby <dobby@example.org>\n")
    assert b"\r" not in letter


def test_sendmail_that_fails_says_why(sendmail: Path) -> None:
    (sendmail / "sendmail").write_text("#!/bin/sh\necho no queue >&2\nexit 75\n")
    with pytest.raises(Later, match="sendmail failed with exit code 75: no queue"):
        send({"smtp": "sendmail"})


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "smtp is missing"),
        ({"smtp": "mail.example.org"}, "smtp is no address"),
        ({"smtp": "http://mail"}, "smtp must be smtp://"),
        ({"smtp": "smtp://u:canary@mail"}, "smtp holds a password"),
        ({"smtp": "smtp://u@mail"}, "a login needs both"),
        ({"smtp": "smtp://mail", "password": "canary"}, "a login needs both"),
        ({"smtp": "smtp+plain://mail"}, "smtp\\+plain is for a relay on the host itself"),
        ({"smtp": "sendmail", "password": "canary"}, "sendmail needs no password"),
        ({"smtp": "smtp://mail", "to": "a@b\r\nBcc: x@y"}, "to must be e-mail addresses"),
        ({"smtp": "smtp://mail", "from": "canary"}, "from must be an e-mail address"),
        ({"smtp": "smtp://mail", "passwort": "canary"}, "has no 'passwort'; did you mean password"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_a_secret(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as error:
        channel.check(settings)
    assert "canary" not in error.value.message


def test_a_password_is_asked_for_where_there_is_a_login() -> None:
    assert channel.asks({"smtp": "smtp://me@mail"}) == ("password",)
    assert channel.asks({"smtp": "sendmail"}) == ()
