"""Hosts by name, one connection each, and a question to all of them at once."""

from __future__ import annotations

import time
from _thread import get_ident

from dobby import shipping
from dobby.client import rows, state
from dobby.core import protocol
from dobby.core.errors import DobbyError, Unreachable
from dobby.core.lazy import once
from dobby.core.record import Record
from dobby.transport import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from dobby.config import Options
    from dobby.transport import Transport

    T = TypeVar("T")


MOST_WAITING = 2  # sessions of one host that no thread just uses
EARLY_S = 1.0  # hosts that answer do so by then; who asks is shown those while the others are awaited


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
        lasting: bool = False,
    ) -> None:
        self._options = options
        self._environ = environ
        self._say = say
        self._interactive = interactive
        self._lasting = lasting  # each call may be followed by another
        self._limit_s = options.answer_within_s
        self._open: dict[str, Transport] = {}
        # By host and thread: what one foretells is not what another asks for.
        self._ahead: dict[tuple[str, int], Session] = {}
        self._waiting: dict[str, list[Session]] = {}
        packed_in = state.cache_dir(environ)
        self.agent = once(lambda: shipping.agent(packed_in))  # a session keeps this, and nothing of us

    def transport(self, host: str) -> Transport:
        """Raises UsageError for a name that ssh may not be given."""
        if host not in self._open:
            self._open[host] = self._make(host, alone=True)
        return self._open[host]

    def _make(self, host: str, alone: bool, forward_agent: bool = False) -> Transport:
        """`alone`: it is the only host that is asked. `forward_agent`: it gets the use of our ssh
        agent for one call."""
        entry = self._options.hosts.get(host)
        become = entry.become if entry else ""
        if host == "local":
            from dobby.local import Local

            return Local(self._environ, become, forward_agent)
        from dobby.ssh import Ssh

        destination = entry.ssh if entry and entry.ssh else host
        interactive = self._interactive and alone
        limit_s = None if alone else self._limit_s
        return Ssh(host, destination, self._environ, self._say, interactive, become, limit_s, forward_agent)

    def begin(self, host: str) -> None:
        """Start the next call's session now, where that takes no handshake: the agent starts while
        the call is still being made up here. `give_up` ends one that no call has used."""
        mine = host, get_ident()
        if mine in self._ahead:
            return
        session = self._next_waiting(host)
        if session is None and self.transport(host).is_near():
            session = Session(self.transport(host), self.agent)
            try:
                session.begin()
            except DobbyError:  # the call itself will say why
                return
        if session is not None:
            self._ahead[mine] = session

    def foretell(self, host: str, ahead: bytes) -> None:
        """Say what a call that `begin` has started a session for is likely to be for."""
        session = self._ahead.get((host, get_ident()))
        if session is not None:
            session.foretell(ahead)

    def give_up(self) -> None:
        me = get_ident()
        for mine in [key for key in list(self._ahead) if key[1] == me]:
            self._ahead.pop(mine).give_up()

    def call(
        self,
        host: str,
        verb: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any] = lambda kind, payload: None,
        more: bool = False,
    ) -> dict[str, Any]:
        """The verb's result on one host, its rows marked with the name by which we know it, and
        with the account there, where that was told. `more`: another call follows. Raises DobbyError,
        also for rows that are none."""
        return self._call(self.transport(host), verb, args, on_reply, more)

    def launch(
        self,
        host: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any],
        forward_agent: bool,
        attached: bytes = b"",
    ) -> dict[str, Any]:
        """As `call`; an ssh agent goes along on a connection that nothing else uses."""
        way = self._make(host, alone=True, forward_agent=True) if forward_agent else self.transport(host)
        return self._call(way, "launch", args, on_reply, attached=attached)

    def _call(
        self,
        way: Transport,
        verb: str,
        args: Mapping[str, Any],
        on_reply: Callable[[str, bytes], Any] = lambda kind, payload: None,
        more: bool = False,
        attached: bytes = b"",
    ) -> dict[str, Any]:
        shared = way is self._open.get(way.host) and verb not in protocol.ONCE
        session = self._session(way, shared)
        result = session.call(verb, args, on_reply, attached, shared and (more or self._lasting))
        try:
            found = rows.of_answer(way.host, verb, result)
        except DobbyError:
            session.give_up()
            raise
        if session.is_waiting():
            self._keep(way.host, session)
        for row in found:
            row["host"] = way.host
            if "account" in result:
                row["account"] = result["account"]
        return result

    def _session(self, way: Transport, shared: bool) -> Session:
        """`shared`: one that was begun for this call, or that waits for any."""
        found = None
        if shared:
            found = self._ahead.pop((way.host, get_ident()), None) or self._next_waiting(way.host)
        return found or Session(way, self.agent)

    def _next_waiting(self, host: str) -> Session | None:
        """One whose agent is still there; those that have left are dropped."""
        waiting = self._waiting.get(host, [])
        while waiting:
            try:
                session = waiting.pop()
            except IndexError:  # another thread was faster
                break
            if session.is_waiting():
                return session
            session.give_up()
        return None

    def _keep(self, host: str, session: Session) -> None:
        """For the next call. Few: they take up sessions that sshd allows one connection (MaxSessions)."""
        waiting = self._waiting.setdefault(host, [])
        if len(waiting) < MOST_WAITING:
            waiting.append(session)
        else:
            session.give_up()

    def known(self) -> list[str]:
        """All hosts: those in settings, those used before; the default host where there is none."""
        names = {*self._options.hosts, *state.known_hosts(self._environ)}
        return sorted(names) or [self._options.host]

    def ask_all(
        self,
        hosts: list[str],
        verb: str,
        args: Mapping[str, Any],
        meanwhile: Callable[[list[Answer]], Any] | None = None,
    ) -> list[Answer]:
        """One answer a host, in the order of `hosts`. Several are asked at once, no longer than the
        setting `answer_within`, and ssh asks nobody anything then: several could not be answered.
        `meanwhile` gets those that are there when the others keep one waiting."""
        if len(hosts) == 1:
            return [self._ask(hosts[0], verb, args)]
        from queue import Empty, SimpleQueue
        from threading import Thread

        self.agent()  # packed once, not by each thread
        arrived: SimpleQueue[Answer | Exception] = SimpleQueue()

        def ask(host: str) -> None:
            try:
                arrived.put(self._ask(host, verb, args, alone=False))
            except Exception as error:
                arrived.put(error)

        for host in hosts:
            Thread(target=ask, args=(host,), daemon=True).start()
        answers: dict[str, Answer] = {}
        begin = time.monotonic()
        pauses = [min(EARLY_S, self._limit_s), self._limit_s]
        while len(answers) < len(hosts) and pauses:
            try:
                answer = arrived.get(timeout=max(0.0, begin + pauses[0] - time.monotonic()))
            except Empty:
                pauses.pop(0)
                if meanwhile and pauses and any(not a.error for a in answers.values()):
                    meanwhile([answers[host] for host in hosts if host in answers])
                continue
            if isinstance(answer, Exception):
                raise answer
            answers[answer.host] = answer
        return [answers.get(host) or self._silent(host) for host in hosts]

    def at_once(self, hosts: list[str], do: Callable[[str, Transport], T]) -> list[T]:
        """What `do(host, the way there)` gives for each, in the order of `hosts`. Several are seen to
        at once, and ssh asks nobody anything then."""
        if len(hosts) == 1:
            return [do(hosts[0], self.transport(hosts[0]))]
        from concurrent.futures import ThreadPoolExecutor

        self.agent()  # packed once, not by each thread
        with ThreadPoolExecutor(len(hosts)) as pool:
            return list(pool.map(lambda host: do(host, self._make(host, alone=False)), hosts))

    def _silent(self, host: str) -> Answer:
        error = Unreachable(
            f"host {host} has not answered within {self._limit_s:g} s",
            f"-H {host} waits longer for it, and lets ssh ask; answer_within is the limit",
        )
        return Answer(host=host, result=None, error=error)

    def _ask(self, host: str, verb: str, args: Mapping[str, Any], alone: bool = True) -> Answer:
        way = self.transport(host) if alone else self._make(host, alone)
        try:
            return Answer(host=host, result=self._call(way, verb, args), error=None)
        except DobbyError as error:
            return Answer(host=host, result=None, error=error)
