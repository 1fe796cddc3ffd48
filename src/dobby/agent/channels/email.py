"""E-mail by SMTP, or handed to the host's own sendmail. The notices of a run are one thread.

RFC 5321 (SMTP), 5322 (message), 3207 (STARTTLS), 3834 (what no machine should answer).
"""

from __future__ import annotations

from dobby.core import answers, letter
from dobby.core.errors import UsageError
from dobby.core.harmless import one_line
from dobby.core.names import is_address
from dobby.core.notices import Later, Refused, addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    import smtplib
    from collections.abc import Callable
    from typing import Any
    from urllib.parse import SplitResult

    from dobby.core.notices import Delivery, Notice

KEYS = ("smtp", "password", "from", "to")
SECRETS = ("password",)

SENDMAIL = "sendmail"
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
PATIENCE_S = 20.0
_SENDMAIL_PLACES = "/usr/sbin:/usr/lib"  # seldom in an account's PATH


def asks(settings: dict[str, Any]) -> tuple[str, ...]:
    """A password only where there is a login."""
    from urllib.parse import urlsplit

    try:
        return SECRETS if urlsplit(str(settings.get("smtp", ""))).username else ()
    except ValueError:  # `check` says so
        return ()


def check(settings: dict[str, Any]) -> None:
    answers.check_keys(settings, KEYS, "email")
    for key in ("password", "from"):
        if key in settings:
            answers.text(settings, key)
    if not all(is_address(address) for address in addresses(settings)):
        raise UsageError("to must be e-mail addresses, such as team@example.org")
    if "from" in settings and not is_address(settings["from"]):
        raise UsageError("from must be an e-mail address, such as dobby@example.org")
    if answers.text(settings, "smtp") == SENDMAIL:
        if "password" in settings:
            raise UsageError("sendmail needs no password: the host's own set-up has it")
        return
    server = answers.split(settings["smtp"], "smtp")
    if server.scheme not in PORTS or not server.hostname:
        raise UsageError("smtp must be smtp://, smtps:// or smtp+plain://[USER@]HOST[:PORT], or sendmail")
    if server.password is not None:
        raise UsageError("smtp holds a password: put it in password = …, which is never shown")
    if bool(server.username) != ("password" in settings):
        raise UsageError("a login needs both: the user in smtp = smtp://USER@HOST, and password = …")
    if server.scheme == "smtp+plain" and not answers.is_loopback(server.hostname):
        raise UsageError("smtp+plain is for a relay on the host itself: use smtp:// or smtps:// elsewhere")


def send(settings: dict[str, Any], notice: Notice, delivery: Delivery, memory: dict[str, Any]) -> str:
    sender = _sender(settings)
    message = letter.compose(notice, sender, delivery.to, delivery.log_lines)
    if settings["smtp"] == SENDMAIL:
        return _hand_over(message, sender, delivery.to)
    try:
        said = _submit(settings, message, sender, delivery.to)
    except (OSError, ValueError) as failure:
        raise answers.unreachable(failure) from None
    return answers.without_secrets(said, str(settings.get("password", "")))


def probe(settings: dict[str, Any]) -> str:
    """Connect and log in, and leave without a message."""
    if settings["smtp"] == SENDMAIL:
        return ""
    try:
        return _talk(settings, lambda smtp: _accepted(smtp.noop(), "to go on", of_message=False))
    except (OSError, ValueError) as failure:
        raise answers.unreachable(failure) from None


def _sender(settings: dict[str, Any]) -> str:
    """As set; else who logs in, where that is an address; else this account."""
    import os
    from urllib.parse import unquote, urlsplit

    user = unquote(urlsplit(settings["smtp"]).username or "")
    account = f"dobby@{os.uname().nodename}"
    fits = (one for one in (settings.get("from", ""), user, account) if is_address(one))
    return next(fits, "dobby@localhost")


# --- SMTP ----------------------------------------------------------------------------------------


def _submit(settings: dict[str, Any], message: bytes, sender: str, to: str) -> str:
    """The server's last word. Raises Later, Refused, and OSError where there was no talk."""

    def hand_in(smtp: smtplib.SMTP) -> str:
        _accepted(smtp.mail(sender), "the sender", of_message=False)
        _accepted(smtp.rcpt(to), "the recipient", of_message=True)
        return _accepted(smtp.data(message), "the message", of_message=True)

    return _talk(settings, hand_in)


def _talk(settings: dict[str, Any], say: Callable[[smtplib.SMTP], str]) -> str:
    """What `say` gives, once we are connected and logged in. Raises as `_submit` does."""
    import smtplib
    from urllib.parse import unquote, urlsplit

    server = urlsplit(settings["smtp"])
    try:
        with _connect(server) as smtp:
            if server.username:
                smtp.login(unquote(server.username), str(settings["password"]))
            return say(smtp)
    except smtplib.SMTPAuthenticationError as error:
        said = answers.without_secrets(_said(error.smtp_error), str(settings.get("password", "")))
        raise Later(f"the login was refused: {error.smtp_code} {said}") from None
    except smtplib.SMTPNotSupportedError:
        raise Later("the server offers no login that this Python knows") from None
    except smtplib.SMTPResponseException as error:
        raise Later(f"the server answered {error.smtp_code} {_said(error.smtp_error)}") from None
    except smtplib.SMTPException as error:
        if isinstance(error.__context__, OSError):  # a time-out, in smtplib's disguise
            raise answers.unreachable(error.__context__) from None
        raise Later(f"the server broke off ({type(error).__name__})") from None


def _connect(server: SplitResult) -> smtplib.SMTP:
    """A connection, encrypted wherever the address or the server says so; certificates are
    checked. Without a login, a server that has no STARTTLS is spoken to in the clear."""
    import smtplib
    import ssl

    host, port = str(server.hostname), server.port or PORTS[server.scheme]
    if server.scheme == "smtps":
        trust = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port, timeout=PATIENCE_S, context=trust)
    smtp = smtplib.SMTP(host, port, timeout=PATIENCE_S)
    try:
        smtp.ehlo_or_helo_if_needed()
        if server.scheme == "smtp" and smtp.has_extn("starttls"):
            smtp.starttls(context=ssl.create_default_context())
        elif server.scheme == "smtp" and server.username:
            raise Later("the server offers no STARTTLS, and the password is not sent in the clear")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _accepted(answer: tuple[int, bytes], what: str, of_message: bool) -> str:
    """The answer as text, when it is one of success. A 5xx about this recipient or message
    stands for good (RFC 5321, 4.2.1); one about the sender can be mended in the settings."""
    code, said = answer
    if 200 <= code < 300:
        return f"{code} {_said(said)}"
    text = f"the server refused {what}: {code} {_said(said)}"
    if of_message and code >= 500:
        raise Refused(text)
    raise Later(text)


def _said(text: object) -> str:
    return one_line(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))


# --- sendmail ------------------------------------------------------------------------------------


def _hand_over(message: bytes, sender: str, to: str) -> str:
    """Give the message to the host's sendmail. Its options are those that all of them know."""
    import os
    import shutil
    import subprocess

    program = shutil.which(SENDMAIL, path=f"{os.environ.get('PATH', '')}:{_SENDMAIL_PLACES}")
    if program is None:
        raise Later("this host has no sendmail: name a server, smtp = smtp://…")
    text = message.replace(b"\r\n", b"\n")
    try:
        done = subprocess.run(
            [program, "-i", "-f", sender, "--", to],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Later("sendmail did not end in time") from None
    except OSError as error:
        raise Later(f"sendmail cannot be started: {error.strerror}") from None
    if done.returncode:
        raise Later(f"sendmail failed with exit code {done.returncode}: {_said(done.stdout)}")
    return "sendmail took it"
