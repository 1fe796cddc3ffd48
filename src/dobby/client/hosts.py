"""Hosts by name, one connection each, and a question to all of them at once."""

from __future__ import annotations

from dobby import shipping
from dobby.client import state
from dobby.core.errors import DobbyError
from dobby.core.record import Record
from dobby.local import Local
from dobby.transport import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from dobby.config import Options
    from dobby.transport import Transport


class Answer(Record):
    """One host's answer: `result`, or the `error` that it or the way to it gave."""

    host: str
    result: dict[str, Any] | None
    error: DobbyError | None


class Hosts:
    """Every host that this caller can name: settings, `local`, or any ssh destination."""

    def __init__(
        self,
        options: Options,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        interactive: bool,
    ) -> None:
        self._options = options
        self._environ = environ
        self._say = say
        self._interactive = interactive
        self._open: dict[str, Transport] = {}
        self._agent: shipping.Agent | None = None

    def transport(self, host: str) -> Transport:
        """Raises UsageError for a name that ssh may not be given."""
        if host not in self._open:
            self._open[host] = self._make(host)
        return self._open[host]

    def _make(self, host: str) -> Transport:
        entry = self._options.hosts.get(host)
        become = entry.become if entry else ""
        if host == "local":
            return Local(self._environ, become)
        from dobby.ssh import Ssh

        destination = entry.ssh if entry and entry.ssh else host
        return Ssh(host, destination, self._environ, self._say, self._interactive, become)

    def agent(self) -> shipping.Agent:
        if self._agent is None:
            self._agent = shipping.agent(state.cache_dir(self._environ))
        return self._agent

    def call(
        self,
        host: str,
        verb: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any] = lambda kind, payload: None,
    ) -> dict[str, Any]:
        """The verb's result on one host, its rows marked with the name by which we know it, and
        with the account there, where that was told."""
        result = Session(self.transport(host), self.agent()).call(verb, args, on_reply)
        rows = [*result.get("runs", ()), *([result["run"]] if "run" in result else [])]
        for row in rows:
            row["host"] = host
            if "account" in result:
                row["account"] = result["account"]
        return result

    def known(self) -> list[str]:
        """All hosts: those in settings, those used before; the default host where there is none."""
        names = {*self._options.hosts, *state.known_hosts(self._environ)}
        return sorted(names) or [self._options.host]

    def ask_all(self, hosts: list[str], verb: str, args: Mapping[str, Any]) -> list[Answer]:
        """One answer a host, in the order of `hosts`; they are asked at once."""
        if len(hosts) == 1:
            return [self._ask(hosts[0], verb, args)]
        from threading import Thread

        self.agent()  # packed once, not by each thread
        answers: dict[str, Answer] = {}
        bugs: list[Exception] = []

        def ask(host: str) -> None:
            try:
                answers[host] = self._ask(host, verb, args)
            except Exception as error:
                bugs.append(error)

        threads = [Thread(target=ask, args=(host,), daemon=True) for host in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if bugs:
            raise bugs[0]
        return [answers[host] for host in hosts]

    def _ask(self, host: str, verb: str, args: Mapping[str, Any]) -> Answer:
        try:
            return Answer(host=host, result=self.call(host, verb, args), error=None)
        except DobbyError as error:
            return Answer(host=host, result=None, error=error)
