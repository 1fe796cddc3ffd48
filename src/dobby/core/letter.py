"""A notice as an e-mail: headers, a part in plain text and one in HTML.

The same notice to the same address is the same bytes: a repetition after a crash carries the
Message-ID of the first, by which mail programs know it.
"""

from __future__ import annotations

from dobby.core import wording
from dobby.core.harmless import one_line, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import EmailMessage

    from dobby.core.notices import Notice

COLOURS = {wording.GOING: "#b7791f", wording.GOOD: "#2f855a", wording.BAD: "#c53030"}
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;white-space:pre-wrap"
_BOX = f"{_MONO};border-radius:6px;padding:10px 12px;margin:4px 0 14px;background:#f6f8fa"
_RED_BOX = f"{_BOX.replace('#f6f8fa', '#fff5f5')};color:#9b2c2c"


def compose(notice: Notice, sender: str, to: str, log_lines: bool) -> bytes:
    """The whole message, lines ending in CRLF."""
    from email.message import EmailMessage
    from email.policy import SMTP

    message = EmailMessage(policy=SMTP)
    _set_headers(message, notice, sender, to)
    # Quoted-printable, always: no line of a log can be taken for the border between parts, which
    # begins "--=_", and there "=" never stands before "_" (RFC 2045, 6.7).
    message.set_content(plain_text(notice, log_lines), cte="quoted-printable")
    message.add_alternative(html(notice, log_lines), subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_dobby_{notice.kind}")
    return message.as_bytes()


def _set_headers(message: EmailMessage, notice: Notice, sender: str, to: str) -> None:
    from email.headerregistry import Address

    run = notice.run
    message["From"] = Address("dobby", addr_spec=sender)
    message["To"] = to
    message["Subject"] = shortened(f"[dobby] {wording.title(notice)}", 160)
    message["Date"] = _date(notice.at)
    message["Message-ID"] = _message_id(notice, notice.kind)
    if notice.kind != "started":
        message["In-Reply-To"] = _message_id(notice, "started")
        message["References"] = _message_id(notice, "started")
    message["Auto-Submitted"] = "auto-generated"
    message["X-Dobby-Event-Id"] = notice.event_id
    message["X-Dobby-Job"] = f"{one_line(str(run['project']))}/{one_line(str(run['label']))}"


def _message_id(notice: Notice, kind: str) -> str:
    """From the event's id alone. Also where a start was never told, its id holds the thread
    together. Names of ours are what a Message-ID may be made of (RFC 5322, 3.6.4)."""
    return f"<{notice.run['run_id']}.{kind}@{notice.run['project']}.dobby>"


def _date(at: str) -> str:
    """`at` (ISO 8601, UTC) as mail has it; now, where that is no stamp of ours."""
    from datetime import datetime, timezone
    from email.utils import format_datetime, formatdate

    try:
        when = datetime.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return formatdate()
    return format_datetime(when.replace(tzinfo=timezone.utc))


# --- text ----------------------------------------------------------------------------------------


def plain_text(notice: Notice, log_lines: bool) -> str:
    facts = wording.facts(notice)
    width = max(len(name) for name, _ in facts)
    pad = " " * (width + 2)
    rows = [f"{name:<{width}}  {text.replace(chr(10), chr(10) + pad)}" for name, text in facts]
    parts = [wording.title(notice), "\n".join(rows)]
    if log_lines and notice.error_line:
        parts.append(f"The error, as it seems:\n    {notice.error_line}")
    if log_lines and wording.tail(notice):
        parts.append("Last lines of the log:\n" + "\n".join(f"    {line}" for line in wording.tail(notice)))
    parts.append(f"The whole log:\n    {notice.log_command}\nor without dobby:\n    {notice.ssh_command}")
    return "\n\n".join(parts) + "\n"


# --- HTML ----------------------------------------------------------------------------------------


def html(notice: Notice, log_lines: bool) -> str:
    """Styles stand in the tags, because mail programs drop all others; no picture, no link."""
    colour = COLOURS[wording.mood(notice)]
    title = (
        f'<div style="border-left:6px solid {colour};padding:6px 14px;margin-bottom:14px;'
        f'font-size:18px;font-weight:600;color:{colour}">{_escape(wording.title(notice))}</div>'
    )
    rows = "\n".join(_row(name, text) for name, text in wording.facts(notice))
    parts = [title, f'<table style="border-collapse:collapse;margin-bottom:14px">\n{rows}\n</table>']
    if log_lines and notice.error_line:
        parts += ["<div>The error, as it seems</div>", _box(notice.error_line, _RED_BOX)]
    if log_lines and wording.tail(notice):
        parts += ["<div>Last lines of the log</div>", _box("\n".join(wording.tail(notice)), _BOX)]
    parts += ["<div>The whole log</div>", _box(notice.log_command, _BOX)]
    parts += ["<div>or without dobby</div>", _box(notice.ssh_command, _BOX)]
    inside = "\n".join(parts)
    return (
        '<!doctype html>\n<html><head><meta charset="utf-8"></head>\n'
        '<body style="font-family:-apple-system,Segoe UI,Roboto,sans-serif;font-size:14px;'
        f'color:#1a202c;max-width:760px">\n{inside}\n</body></html>\n'
    )


def _row(name: str, text: str) -> str:
    style = f' style="{_MONO}"' if name == "Command" else ""
    return (
        '<tr><td style="color:#718096;padding:2px 18px 2px 0;vertical-align:top">'
        f"{_escape(name)}</td><td{style}>{_escape(text)}</td></tr>"
    )


def _box(text: str, style: str) -> str:
    return f'<div style="{style}">{_escape(text)}</div>'


def _escape(text: str) -> str:
    from html import escape

    return escape(text)
