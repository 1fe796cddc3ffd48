"""What a service's answer means, and which addresses may be asked at all.

No message from here holds the service's address: in many of them, it is the secret.
"""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.excerpt import mask_text
from dobby.core.harmless import one_line
from dobby.core.notices import Later, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional
    from urllib.parse import SplitResult

# The message itself is at fault (RFC 9110): sent again, it would be refused again.
_OF_THE_MESSAGE = (400, 413, 414, 415, 422)


def judge(status: int, retry_after: Optional[str], answer: str, now: float) -> str:
    """The answer as one line when `status` (HTTP) says that it was taken.

    Raises Refused where the message is at fault. All else raises Later: also what a wrong token
    gets, because the one who mends it still wants to know how the night's runs went."""
    said = one_line(answer) or "nothing"
    if 200 <= status < 300:
        return f"{status}: {said}"
    if 300 <= status < 400:
        raise Later(f"it answered {status}, a redirect, which is not followed: give the new address")
    text = f"it answered {status}: {said}"
    if status in _OF_THE_MESSAGE:
        raise Refused(text)
    raise Later(text, parse_retry_after(retry_after, now))


def parse_retry_after(text: Optional[str], now: float) -> Optional[float]:
    """Seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3); None where it
    holds neither. `now` is seconds since 1970."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def unreachable(error: Exception) -> Later:
    """Why there was no answer, in words that hold no address."""
    cause = getattr(error, "reason", error)
    if not isinstance(cause, BaseException):
        cause = error
    kind = type(cause).__name__
    if "CertVerification" in kind:
        return Later(f"its certificate is not trusted here: {_why_not_trusted(cause)}")
    if kind.startswith("SSL"):
        return Later("no TLS could be agreed on with it")
    if isinstance(cause, TimeoutError) or kind == "timeout":
        return Later("it did not answer in time")
    if kind == "gaierror":
        return Later("its name is not known to this host's resolver")
    if isinstance(cause, OSError) and cause.strerror:
        return Later(f"it cannot be reached: {cause.strerror}")
    return Later(f"it broke off or did not speak its protocol ({kind})")


def _why_not_trusted(error: BaseException) -> str:
    """OpenSSL's reason without the name that was asked for ("… not valid for 'x'")."""
    return str(getattr(error, "verify_message", "")).partition(" for '")[0].strip(" .,") or "unknown"


# --- addresses -----------------------------------------------------------------------------------


def check_url(settings: dict[str, Any], key: str) -> None:
    """That `key` is an address to which secrets may be sent: https, or http to loopback.
    Raises UsageError, which does not quote it."""
    url = text(settings, key)
    parts = split(url, key)
    plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if (parts.scheme != "https" and not plain) or not parts.hostname:
        raise UsageError(f"{key} must be an https:// address (http:// only to loopback)")


def split(url: str, key: str) -> SplitResult:
    """The parts of a URL. Raises UsageError where it is none."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError(f"{key} is no address: write it as scheme://name/…") from None
    if not parts.scheme or any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError(f"{key} is no address: write it as scheme://name/…")
    return parts


def is_loopback(host: str) -> bool:
    numbers = host.split(".")
    in_127 = len(numbers) == 4 and numbers[0] == "127" and all(n.isdigit() for n in numbers)
    return host in ("localhost", "::1") or in_127


def text(settings: dict[str, Any], key: str) -> str:
    """A setting that must be there, and be text. Raises UsageError."""
    value = settings.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(
            f"{key} is missing: give {key} = …" if value in (None, "") else f"{key} must be text"
        )
    return value


def check_keys(settings: dict[str, Any], known: tuple[str, ...], kind: str) -> None:
    """That only known keys are there. Raises UsageError, naming the nearest one."""
    from dobby.core.settings import did_you_mean

    for key in settings:
        if key not in known:
            raise UsageError(f"a channel of kind {kind} has no {key!r}; {did_you_mean(key, known)}")


def without_secrets(said: str, *addresses: str) -> str:
    """What a service said, without the addresses and tokens that it may have repeated."""
    from urllib.parse import urlsplit

    secrets = set()
    for address in addresses:
        secrets.add(address)
        try:
            parts = urlsplit(address)
        except ValueError:
            continue
        words = [*parts.path.split("/"), *parts.query.replace("=", "&").split("&"), parts.fragment]
        words += [parts.netloc, parts.username or "", parts.password or "", parts.path.strip("/")]
        secrets.update(word for word in words if len(word) >= 6)
    return mask_text(said, secrets)
