"""The hosts that the user has named: [host.NAME] of their settings. Methods of `Client.hosts`."""

from __future__ import annotations

import os
import re

from dobby import config
from dobby.client import state
from dobby.core.accounts import check_account
from dobby.core.errors import DobbyError, NotFound, UsageError
from dobby.core.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from dobby.client.checking import Checked
    from dobby.client.hosts import Hosts
    from dobby.config import Options
    from dobby.config.table import HostEntry

OURS = "local"


class HostBook:
    """`settings` gives the settings as they now are; the rest as `Client` has it."""

    def __init__(
        self,
        settings: Callable[[], Options],
        environ: Mapping[str, str],
        say: Callable[[str], None],
        interactive: bool,
    ) -> None:
        self._settings, self._environ = settings, environ
        self._say, self._interactive = say, interactive

    def _hosts(self) -> Hosts:
        from dobby.client.hosts import Hosts

        return Hosts(self._settings(), self._environ, self._say, self._interactive)

    def _cron(self, host: str, on: bool) -> dict[str, Any]:
        return self._hosts().call(host, "cron", {"on": on})

    def check(self, name: str | None = None, *, brief: bool = False) -> Sequence[Checked]:
        """What is right and what is wrong with a host, line by line; without `name` with those in
        the settings, or the default one. `brief`: the host asks nobody over the network, and no
        sizes are looked at. A host that cannot be reached is answered as such, not raised."""
        from dobby.client.checking import check

        options, hosts = self._settings(), self._hosts()
        names = [name] if name else sorted(options.hosts) or [options.host]
        return hosts.at_once(names, lambda host, way: check(host, way, hosts.agent(), brief))

    def list(self) -> list[dict[str, Any]]:
        """`host ssh become shared added used default` of each, by name. No host is asked."""
        options = self._settings()
        named = options.hosts
        used = state.known_hosts(self._environ)
        names = sorted({*named, *used, options.host})
        return [
            {
                "host": name,
                "ssh": "" if name == OURS else named[name].ssh if name in named else name,
                "become": named[name].become if name in named else "",
                "shared": name in named and named[name].is_shared,
                "added": name in named,
                "used": name in used,
                "default": name == options.host,
            }
            for name in names
        ]

    def add(
        self, name: str, destination: str | None = None, *, become: str | None = None, watch: bool = False
    ) -> dict[str, Any]:
        """Write [host.NAME] into the user's settings: `destination` is what ssh is given, by default
        the name; `become` the account that owns the jobs, by default who logs in. `watch`: have that
        host's cron look after dobby's runs. One that is there and says the same stays as it is.
        Answers `host ssh become added watch note`. Raises UsageError."""
        entry = self._settings().hosts.get(name)
        ssh, account = self._check(name, destination, become, entry)
        added = entry is None and name != OURS
        if added:
            _edit(self._environ, ["host", name], {"ssh": ssh, **({"become": account} if account else {})})
        note = self._cron(name, on=True)["note"] if watch else ""
        return {"host": name, "ssh": ssh, "become": account, "added": added, "watch": watch, "note": note}

    def _check(
        self, name: str, destination: str | None, become: str | None, known: HostEntry | None
    ) -> tuple[str, str]:
        """Destination and account."""
        from dobby.ssh import check_destination

        if name == OURS:
            if destination or become:
                raise UsageError(f"{OURS} is this machine, as who you are", "choose another name")
            return "", known.become if known else ""
        check_name(name, "host's name")
        if not known:
            return check_destination(destination or name), check_account(become or "")
        if check_destination(destination or known.ssh) != known.ssh or become not in (None, known.become):
            account = f", become = {known.become}" if known.become else ""
            raise UsageError(
                f"host {name} is there already, as {known.ssh}{account}",
                f"dobby host remove {name} comes first",
            )
        return known.ssh, known.become

    def remove(
        self, name: str, *, watch: bool = False, purge: bool = False, outputs: bool = False
    ) -> dict[str, Any]:
        """Take a host out of the settings, and forget that it was ever used. `watch`: first take
        dobby's lines out of that host's crontab. `purge`: first take all of dobby off that host,
        which is refused while runs live there, or (without `outputs`) outputs are kept there.
        Answers `host removed unwatched purged`, the last as the agent's verb. Raises NotFound."""
        purged = self._hosts().call(name, "purge", {"outputs": outputs}) if purge else None
        unwatched = bool(purged["unwatched"] if purged else watch and self._cron(name, on=False)["changed"])
        named = name in self._settings().hosts
        if named:
            _edit(self._environ, ["host", name], None)
        forgotten = state.forget_host(self._environ, name)
        if not (named or forgotten or unwatched or purged):
            known = ", ".join(entry["host"] for entry in self.list()) or "none"
            raise NotFound(f"no host {name} was added or used", f"known: {known}")
        return {"host": name, "removed": named, "unwatched": unwatched, "purged": purged}


def _edit(environ: Mapping[str, str], path: list[str], values: dict[str, Any] | None) -> None:
    """Change one table of the user's file; all else in it stays, and so does its mode."""
    from dobby.core.toml_edit import drop_table, put_table

    before = config.load_user_file(environ)
    file = os.path.realpath(config.user_path(environ))
    text = before[1] if before else ""
    try:
        after = drop_table(text, path) if values is None else put_table(text, path, values)
        config.resolve(user_file=(file, after))
    except (ValueError, KeyError) as error:
        hint = f"edit [{'.'.join(path)}] in that file by hand"
        if re.search(r"(?m)^[ \t]*host[ \t]*=", text):
            hint = "beside [host.NAME] tables `host = …` cannot stand: say `default = true` in one of them"
        raise DobbyError(f"{file}: {error}", hint) from None
    mode = os.stat(file).st_mode & 0o777 if before else 0o600
    os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    temp = f"{file}.{os.getpid()}"
    with open(temp, "w", encoding="utf-8", newline="") as out:
        os.fchmod(out.fileno(), mode)
        out.write(after)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temp, file)
