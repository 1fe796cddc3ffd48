"""The same agent on this machine, without ssh."""

from __future__ import annotations

from dobby.core import accounts, protocol
from dobby.program import Program
from dobby.transport import PATIENCE_S, ended, last_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dobby.core.errors import Unreachable

_KEPT = (
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "TMPDIR", "TERM"),
    *("XDG_RUNTIME_DIR", "DOBBY_HOME"),
    # How this machine reaches the network is no setting of one shell.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)


def _active(environ: Mapping[str, str]) -> set[str]:
    """What activation has put into PATH. conda's base is active by the account's login files."""
    found = {f"{environ['VIRTUAL_ENV']}/bin"} if environ.get("VIRTUAL_ENV") else set()
    if environ.get("CONDA_PREFIX") and environ.get("CONDA_DEFAULT_ENV") != "base":
        found.add(f"{environ['CONDA_PREFIX']}/bin")
    return found


class Local:
    """Nothing of the caller's shell leaks in: only what a login would set as well, and PATH
    without an active virtual environment."""

    host = "local"
    patience_s: float | None = PATIENCE_S

    def connect(self) -> str:
        return "local"

    def __init__(self, environ: Mapping[str, str], become: str = "", forward_agent: bool = False) -> None:
        self._become = become
        self._env = {k: v for k, v in environ.items() if k in _KEPT or k.startswith("LC_")}
        if forward_agent and "SSH_AUTH_SOCK" in environ:
            self._env["SSH_AUTH_SOCK"] = environ["SSH_AUTH_SOCK"]
        if "PATH" in environ:
            active = _active(environ)
            self._env["PATH"] = ":".join(p for p in environ["PATH"].split(":") if p not in active)

    def is_near(self) -> bool:
        return True

    def start(self, errors: int) -> Program:
        command = f"cd /; unset OLDPWD; {accounts.as_account(protocol.BOOTSTRAP, self._become)}"
        return Program(["/bin/sh", "-c", command], errors, self._env, apart=True)

    def explain(self, said: str, code: int, here: bool) -> Unreachable:
        if self._become and not here and code > 0:
            sentence, hint = accounts.what_sudo_said(self.host, self._become, said, code)
            return ended(sentence, hint, reached=False, refused=True)
        why = last_words(said) or (f"signal {-code} ended it" if code < 0 else f"exit code {code}")
        message = f"the agent on this machine ended without an answer: {why}"
        return ended(message, reached=code < 0, maybe=here, refused=code >= 0)

    def abandon(self, program: Program) -> None:
        """Not killed: it may be just starting a run that it has accepted."""
        from threading import Thread

        Thread(target=program.wait, daemon=True).start()

    def shell(self, command: str) -> int:
        import subprocess

        whole = accounts.as_account(f"exec /bin/sh -c '{command}'", self._become)
        return subprocess.call(["/bin/sh", "-c", whole], env=self._env, cwd="/")

    def rsync(self) -> None:
        return None
