"""What the state store promises, act by act: each act, once it has returned, has promised something.

The agent's own code runs, in its own order; only processes and git are left out. A `Play` says what it
promised (`broken`), given which acts were done and which one was under way at the crash.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

from tests.core.examples import COMMIT, REQUEST

from dobby.agent import (
    clock,
    conclude,
    durable,
    excerpts,
    members,
    outbox,
    processes,
    refs,
    rows,
    store,
    supervisor,
)
from dobby.agent.main import Call
from dobby.agent.verbs import launch
from dobby.agent.wire import Wire
from dobby.core import events as ev
from dobby.core import layout
from dobby.core import request as rq
from dobby.core import status as st
from dobby.core.errors import DobbyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dobby.agent.charge import Charge

    Act = Callable[[str], None]

BOOT, NEXT_BOOT = "boot-1", "boot-2"
EARLIER, THIS, LATER = (
    "20260101T000000-0000000001",
    "20260101T000000-0000000002",
    "20260101T000000-0000000003",
)
TOLD = {"event_id": "e", "channel": "team", "to": "", "state": "sent", "attempts": 1, "at": clock.stamp(0)}
STOP = {"by": "ann", "reason": "stop", "grace_s": None}


@contextlib.contextmanager
def on_this_boot(boot: str) -> Iterator[None]:
    """No process is started and no git is asked; `boot` is the machine's."""
    held: list[int] = []

    def start(charge: Charge) -> None:
        held.append(os.dup(charge.run_fd))
        store.append(charge.run, ev.PREPARING, supervisor=_dead())

    verb: Any = launch
    stubs: list[tuple[Any, str, Any]] = [
        (clock, "boot_id", lambda: boot),
        (verb.start, "start", start),
        (verb.stewards, "ensure", lambda home: None),
        (verb.arrival, "ensure", lambda *_: None),
        (verb.preflight, "check", lambda *_: None),
        (verb.admission, "check_environment", lambda request: None),
        (refs, "_PATIENCE_S", 0.0),
        (processes, "table", list),
        (members, "end", lambda *_: []),
    ]
    real = [(place, name, getattr(place, name)) for place, name, _ in stubs]
    for place, name, stub in stubs:
        setattr(place, name, stub)
    try:
        yield
    finally:
        for fd in held:
            os.close(fd)
        for place, name, before in real:
            setattr(place, name, before)


def _dead() -> dict[str, Any]:
    """A process that lives no more."""
    who = processes.Identity(pid=1 << 22, started="1", boot=clock.boot_id(), machine=clock.machine_id())
    return who.to_dict()


class Play:
    """`acts` are functions of dobby's directory, done in order; those in `spared` are done also where
    the disk is full."""

    acts: tuple[Act, ...] = ()
    spared: tuple[Act, ...] = ()
    faulted = False  # something was made to fail, so that what is kept only where it can be may be missing

    def prepare(self, home: str) -> None:
        """What is there before the first act."""

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        """Promises that do not hold after a crash, when `done` acts had returned. A later act may
        have had an effect only if it is the very next."""
        raise NotImplementedError


# --- a run's life -------------------------------------------------------------------------------


def run_of(home: str, run_id: str = THIS) -> layout.Run:
    return layout.Run(home=home, project=REQUEST.project, label=REQUEST.label, run_id=run_id)


def launch_run(home: str, run_id: str = THIS) -> None:
    request = REQUEST.replace(run_id=run_id, roots=(COMMIT,))
    wire = Wire(_Caller(), "m", out_fd=os.open(os.devnull, os.O_WRONLY))
    try:
        launch._launch(
            Call(home=home, args={"request": rq.to_dict(request)}, attached=b"", wire=wire, umask=0o077)
        )
    finally:
        os.close(wire._out)


class _Caller(io.BytesIO):
    """The laptop, which waits for its answer."""

    def __init__(self) -> None:
        super().__init__(b"")
        self._pipe = os.pipe()

    def fileno(self) -> int:
        return self._pipe[0]

    def __del__(self) -> None:
        for fd in self._pipe:
            os.close(fd)


def take_over(home: str) -> None:
    supervisor._take_over(run_of(home))


def start_command(home: str) -> None:
    run = run_of(home)
    fd = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, b"hello\n")
    os.close(fd)
    store.append(run, ev.STARTED, wrapper=_dead(), log_offset=0)


def ask_to_stop(home: str) -> None:
    durable.create(run_of(home).stop, durable.dump_json(STOP))


def end_command(home: str) -> None:
    """As the wrapper does."""
    content = {"cause": st.dump_cause(st.Exit(code=0)), "duration_s": 1.0}
    stop_asked = os.path.exists(run_of(home).stop)
    durable.create(run_of(home).exit, durable.dump_json({**content, "stop_asked": stop_asked}))


def conclude_run(home: str) -> None:
    stored = store.load(run_of(home))
    assert stored is not None
    conclude.conclude(stored, st.Exit(code=0), 1.0)


def settle(home: str) -> None:
    rows.look(run_of(home))


def tell(home: str) -> None:
    outbox.record(run_of(home), TOLD)


def forget(home: str) -> None:
    outbox.remove(run_of(home))


class Life(Play):
    """One run from its launch to its last notice, of a label that has had a run before."""

    acts: tuple[Act, ...] = (
        launch_run,
        take_over,
        start_command,
        end_command,
        conclude_run,
        tell,
        forget,
    )
    spared = (end_command, conclude_run, settle)
    ends_as: type[st.Final] = st.Succeeded

    def prepare(self, home: str) -> None:
        os.mkdir(home, 0o700)
        launch_run(home, EARLIER)
        run = run_of(home, EARLIER)
        store.finish(run, st.Succeeded(finished_at=clock.now()))
        outbox.remove(run)

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        did, doing = self.acts[:done], self.acts[: done + 1]
        return [*_of_this(home, self, did, doing), *_of_all(home, self.acts)]


class Stopped(Life):
    acts = (launch_run, take_over, start_command, ask_to_stop, end_command, conclude_run)
    ends_as = st.Stopped


class Settled(Life):
    """The supervisor died; whoever looks next makes the run final."""

    acts = (settle, tell, forget)

    def prepare(self, home: str) -> None:
        super().prepare(home)
        for act in (launch_run, take_over, start_command, end_command):
            act(home)

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        before = (launch_run, take_over, start_command, end_command)
        did, doing = (*before, *self.acts[:done]), (*before, *self.acts[: done + 1])
        return [*_of_this(home, self, did, doing), *_of_all(home, doing)]


def _of_this(home: str, play: Life, did: tuple[Any, ...], doing: tuple[Any, ...]) -> list[str]:
    run, wrong = run_of(home), []
    before = durable.read(run.final)
    try:
        stored = rows.look(run)
    except DobbyError as error:
        return [error.message]
    if stored is None:
        return ["the acknowledged run is gone"] if launch_run in did else []
    kinds = [event["kind"] for event in stored.events]
    if launch_run in did and ev.PREPARING not in kinds:
        wrong.append("the first event is gone")
    if launch_run in did and forget not in doing and run not in outbox.runs(home):
        wrong.append("nobody will be told: the mark is gone")
    if start_command in did and ev.STARTED not in kinds:
        wrong.append("the start is gone")
    if take_over in did and conclude.read_holder(run.job) != THIS:
        wrong.append("the label's holder is another")
    if launch_run in did and stored.final is None:
        wrong.append("it was acknowledged, and does not become final")
    if end_command in did and not isinstance(stored.final, play.ends_as):
        wrong.append(f"the recorded end is gone: {stored.final}")
    if isinstance(stored.final, st.Succeeded) and end_command not in doing:
        wrong.append("a success that was not")
    if {conclude_run, settle} & set(did) and before is None:
        wrong.append("the final state is gone")
    if {conclude_run, settle} & set(did) and not play.faulted and excerpts.read(run).tail != ("hello",):
        wrong.append("the log's last lines are gone")
    if before is not None and durable.read(run.final) != before:
        wrong.append("a second final state")
    if tell in did and not outbox.read(run).attempts:
        wrong.append("it is forgotten who was told")
    return wrong


def _of_all(home: str, doing: tuple[Any, ...]) -> list[str]:
    """Nothing is unreadable, and what comes next goes on as if nothing had been."""
    job, unreadable = run_of(home).job, list[str]()
    rows.of_job(job, unreadable)
    if unreadable:
        return unreadable
    wrong = []
    for run_id in (THIS, LATER):
        try:
            with on_this_boot(clock.boot_id()):
                launch_run(home, run_id)
        except (DobbyError, OSError) as error:
            return [f"{run_id} cannot be launched: {error!r}"]
    found = {stored.run.run_id: stored for stored in rows.of_job(job, unreadable)}
    if unreadable or set(found) != {EARLIER, THIS, LATER}:
        return [*unreadable, f"these are listed: {sorted(found)}"]
    numbers = [found[run_id].seq for run_id in (EARLIER, THIS, LATER)]
    if numbers != sorted(set(numbers)):
        wrong.append(f"out of order: {numbers}")
    if not isinstance(found[EARLIER].final, st.Succeeded):
        wrong.append("the earlier run's final state is gone")
    if any(stored.final is None for stored in found.values()):
        wrong.append("not all become final")
    store.note(found[THIS].run, "after the crash")
    if rows.look(found[THIS].run) is None or not (found[THIS].final or doing):
        wrong.append("it cannot be written to")
    return wrong
