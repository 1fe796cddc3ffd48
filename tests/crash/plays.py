"""The plays: the lives of a run, and what else dobby keeps on a host."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from tests.crash.acts import Life, Play, Settled, Stopped, run_of

from dobby.agent import config_file, durable, refs
from dobby.agent.blobs import Store
from dobby.core import layout
from dobby.core.digest import sha256
from dobby.core.errors import DobbyError
from dobby.core.host_settings import parse_host_settings

if TYPE_CHECKING:
    from collections.abc import Callable


class Settings(Play):
    """The host's own settings, changed by dobby."""

    def _set(number: int) -> Callable[[str], None]:  # type: ignore[misc]
        def act(home: str) -> None:
            config_file.edit(home, lambda _: f"# kept\nmax_running = {number}\n")

        return act

    acts = (_set(1), _set(2), _set(30))
    values = (None, 1, 2, 30)

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        path = layout.settings(home)
        try:
            found = parse_host_settings((durable.read(path) or b"").decode()).max_running
        except (DobbyError, ValueError) as error:
            return [f"{path}: {error}"]
        wrong = [] if found in self.values[done : done + 2] else [f"max_running is {found}"]
        self.acts[1](home)
        if parse_host_settings((durable.read(path) or b"").decode()).max_running != 2:
            wrong.append("it cannot be changed")
        return wrong


class Pins(Play):
    """The refs that keep a job's commits."""

    ids = ("a" * 40, "b" * 40, "c" * 40)

    def _pin(id: str) -> Callable[[str], None]:  # type: ignore[misc]
        return lambda home: refs.write(f"{home}/refs/dobby/jobs/nightly", id)

    acts = tuple(map(_pin, ids))

    def prepare(self, home: str) -> None:
        os.mkdir(home, 0o700)

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        found = refs.read(f"{home}/refs/dobby/jobs/nightly")
        wrong = [] if found in ("", *self.ids)[done : done + 2] else [f"the ref says {found!r}"]
        self.acts[0](home)
        if refs.read(f"{home}/refs/dobby/jobs/nightly") != self.ids[0]:
            wrong.append("it cannot be written")
        return wrong


def _need(home: str) -> None:
    Store(f"{home}/blobs").note_need(run_of(home), (), "")


class Contents(Play):
    """What git does not carry. Small contents are not fsynced, and looked at before they are believed."""

    contents = (b"one", b"two")
    ids = tuple(sha256(content).hexdigest() for content in contents)
    whole = "f" * 40

    def _receive(content: bytes) -> Callable[[str], None]:  # type: ignore[misc]
        def act(home: str) -> None:
            Store(f"{home}/blobs").receive(sha256(content).hexdigest(), io.BytesIO(content).read)

        return act

    acts = (_need, *map(_receive, contents), lambda home: Store(f"{home}/blobs").note_whole(Contents.whole))

    def prepare(self, home: str) -> None:
        os.mkdir(home, 0o700)

    def broken(self, home: str, done: int, rebooted: bool) -> list[str]:
        store, wrong = Store(f"{home}/blobs"), []
        _need(home)
        missing = store.missing(dict.fromkeys(self.ids, 3))
        if missing and store.is_whole(self.whole):
            wrong.append("it is said to be whole, and is not")
        for id, content in zip(self.ids, self.contents, strict=True):
            if id in missing:
                store.receive(id, io.BytesIO(content).read)
        store.note_whole(self.whole)
        if not store.is_whole(self.whole) or any(store.read(id) is None for id in self.ids):
            wrong.append("it cannot be made whole")
        return wrong


PLAYS: dict[str, type[Play]] = {
    "life": Life,
    "stopped": Stopped,
    "settled": Settled,
    "settings": Settings,
    "pins": Pins,
    "contents": Contents,
}
