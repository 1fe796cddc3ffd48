"""What this laptop remembers: hosts used before, and where each label was launched last.

One small file an entry, so that two launches at once lose nothing. Deleting it all costs
only these memories.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def state_dir(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '~')}/.local/state"
    return os.path.expanduser(f"{base}/dobby")


def cache_dir(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '~')}/.cache"
    return os.path.expanduser(f"{base}/dobby")


def remember(environ: Mapping[str, str], host: str, project: str, label: str) -> None:
    """`label` of `project` was launched on `host`."""
    state = state_dir(environ)
    _write(f"{state}/jobs/{_quote(project)}", _quote(label), host)
    _write(f"{state}/hosts", _quote(host), "")


def forget_host(environ: Mapping[str, str], host: str) -> bool:
    """Nothing was ever launched there; whether something was remembered."""
    jobs = f"{state_dir(environ)}/jobs"
    for folder in _names(jobs):
        for name in _names(f"{jobs}/{folder}"):
            if _read(f"{jobs}/{folder}/{name}") == host:
                _remove(f"{jobs}/{folder}/{name}")
    forget_note(environ, "untold", host)
    return _remove(f"{state_dir(environ)}/hosts/{_quote(host)}")


def note_once(environ: Mapping[str, str], what: str, about: str) -> bool:
    """Remember that `what` was said about a host; False when it was said before."""
    folder = f"{state_dir(environ)}/{what}"
    if os.path.exists(f"{folder}/{_quote(about)}"):
        return False
    _write(folder, _quote(about), "")
    return True


def forget_note(environ: Mapping[str, str], what: str, about: str) -> None:
    _remove(f"{state_dir(environ)}/{what}/{_quote(about)}")


def last_host(environ: Mapping[str, str], project: str, label: str) -> str:
    """Where `label` was launched last from here, "" when it never was. Without a project: of
    any project, if all agree."""
    jobs = f"{state_dir(environ)}/jobs"
    folders = [_quote(project)] if project else _names(jobs)
    found = set()
    for folder in folders:
        host = _read(f"{jobs}/{folder}/{_quote(label)}")
        if host is not None:
            found.add(host)
    return found.pop() if len(found) == 1 else ""


def known_hosts(environ: Mapping[str, str] | None = None) -> list[str]:
    """Hosts used before, sorted."""
    return [_unquote(n) for n in _names(f"{state_dir(environ or os.environ)}/hosts")]


def known_labels(environ: Mapping[str, str] | None = None) -> list[str]:
    """Labels launched from here, of all projects, sorted."""
    jobs = f"{state_dir(environ or os.environ)}/jobs"
    return sorted({_unquote(n) for folder in _names(jobs) for n in _names(f"{jobs}/{folder}")})


def _write(folder: str, name: str, content: str) -> None:
    path = f"{folder}/{name}"
    before = _read(path)
    if before == content:
        return
    if before is None:
        os.makedirs(folder, 0o700, exist_ok=True)
    temp = f"{folder}/.{os.urandom(4).hex()}"
    with open(temp, "w") as file:
        file.write(content)
    os.replace(temp, path)


def _read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _remove(path: str) -> bool:
    """Whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _names(folder: str) -> list[str]:
    try:
        return sorted(n for n in os.listdir(folder) if not n.startswith("."))
    except FileNotFoundError:
        return []


def _quote(name: str) -> str:
    quoted = name.replace("%", "%25").replace("/", "%2F")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def _unquote(name: str) -> str:
    return name.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")
