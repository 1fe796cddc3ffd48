"""URLs of remotes: what git makes of them, and what may travel. Pure."""

from __future__ import annotations

from dobby.core.errors import UsageError
from dobby.core.lazy import regex
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEME = regex(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_TRANSPORT = regex(r"[A-Za-z0-9+.-]*::")
_SCP_LIKE = regex(r"(?:[^/@:]+@)?(\[[^]/]+\]|[^/:@]+):(?!:)")
_ORDINARY = ("https", "http", "ssh", "git", "file", "git+ssh", "ssh+git")


def has_scheme(url: str) -> bool:
    return _SCHEME.match(url) is not None


def is_elsewhere(url: str) -> bool:
    """Whether `url` means the same from anywhere: with a scheme, scp-like, or an absolute path."""
    return has_scheme(url) or url.startswith("/") or _SCP_LIKE.match(url) is not None


def without_user_info(url: str) -> str:
    """`url` without what stands before '@' in its authority, for scp-like ones as well."""
    scheme = _SCHEME.match(url)
    if scheme:
        authority, slash, path = url[scheme.end() :].partition("/")
        return scheme.group(0) + authority.rpartition("@")[2] + slash + path
    if _SCP_LIKE.match(url):
        return url.partition("@")[2] if "@" in url.partition(":")[0] else url
    return url


def split_login(url: str) -> tuple[str, str, str]:
    """(`url` as it may be kept, user, password). The name before '@' stays where it is part of
    the address, as in git@host:path; for http it is a secret, like any password."""
    scheme = _SCHEME.match(url)
    authority = url[scheme.end() :].partition("/")[0] if scheme else ""
    if not scheme or "@" not in authority:
        return url, "", ""
    user, _, password = authority.rpartition("@")[0].partition(":")
    if "ssh" in scheme.group(1).lower():
        return url.replace(authority, f"{user}@{authority.rpartition('@')[2]}", 1), "", ""
    from urllib.parse import unquote

    return without_user_info(url), unquote(user), unquote(password)


def instead_of(url: str, rules: Iterable[tuple[str, str]]) -> str:
    """`url` after url.<base>.insteadOf; `rules` are (base, prefix), the longest prefix wins."""
    fit = [(prefix, base) for base, prefix in rules if prefix and url.startswith(prefix)]
    if not fit:
        return url
    prefix, base = max(fit, key=lambda rule: len(rule[0]))
    return base + url[len(prefix) :]


def resolve(base: str, url: str) -> str:
    """A submodule's `url`; one starting with ./ or ../ is relative to its parent's `base`
    (git-submodule(1), "add"). Raises UsageError where it leaves the base."""
    if not url.startswith(("./", "../")):
        return url
    scheme, scp = _SCHEME.match(base), _SCP_LIKE.match(base)
    if scheme:
        cut = base.find("/", scheme.end())
        root, path = (base, "") if cut < 0 else (base[: cut + 1], base[cut + 1 :])
    else:
        start = scp.end() if scp else 0
        root = base[: len(base) - len(base[start:].lstrip("/"))]
        path = base[len(root) :]
    parts = [part for part in path.split("/") if part]
    for part in url.split("/"):
        if part == ".." and not parts:
            raise UsageError(f"submodule URL {shown(url)} leaves {shown(without_user_info(base))}")
        if part == "..":
            parts.pop()
        elif part not in (".", ""):
            parts.append(part)
    return root + "/".join(parts)


def check_ordinary(url: str, what: str) -> str:
    """`url` itself. Raises UsageError for what git would take as an option or would run a
    program for (`ext::`, any remote helper), and for control characters."""
    scheme = _SCHEME.match(url)
    odd = (
        not url
        or url.startswith("-")
        or any(ord(c) < 32 or ord(c) == 127 for c in url)
        or _TRANSPORT.match(url)
        or (scheme and scheme.group(1).lower() not in _ORDINARY)
    )
    host = without_user_info(url)[scheme.end() :] if scheme else without_user_info(url)
    if odd or host.startswith("-"):
        raise UsageError(
            f"{what} has the URL {shown(without_user_info(url))}, which is not allowed",
            "https, ssh, git and file URLs and paths are",
        )
    return url
