"""A home with two runs, of which the files of one are damaged at random: the other is always listed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as some
from tests.crash import acts

from dobby.agent.main import Call
from dobby.agent.verbs import list as listing
from dobby.agent.wire import Wire
from dobby.client import rows
from dobby.core.errors import DobbyError
from dobby.views import table

if TYPE_CHECKING:
    from types import TracebackType

OF_JOB = ("../../holder", "../../accepting")
IDENTITY = "../../../../identity.json"
FILES = (
    "request.json",
    "events.jsonl",
    "exit.json",
    "final.json",
    "stop.json",
    "notices.jsonl",
    "excerpt.json",
    *OF_JOB,
    IDENTITY,
)


class Home:
    """`with Home() as home`: made once, damaged and mended for each try."""

    def __enter__(self) -> Home:
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._top = tempfile.mkdtemp(prefix="damaged-", dir=memory)
        self.path = f"{self._top}/home"
        with acts.on_this_boot(acts.BOOT):
            acts.Life().prepare(self.path)
            for act in acts.Stopped.acts[:-1]:
                act(self.path)
            acts.tell(self.path)
        self._whole = f"{self._top}/whole"
        shutil.copytree(f"{self.path}/projects", self._whole)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        shutil.rmtree(self._top)

    def check(self, damage: tuple[str, bool, Damage]) -> None:
        """All is listed and shown, or named as unreadable, and what is the job's own keeps no run from
        being accepted; nothing else is raised."""
        name, is_final, change = damage
        run = acts.run_of(self.path)
        shutil.rmtree(f"{self.path}/projects")
        shutil.copytree(self._whole, f"{self.path}/projects")
        with acts.on_this_boot(acts.NEXT_BOOT):
            if is_final:
                acts.settle(self.path)
            path = f"{run.root}/{name}"
            data = b""
            if os.path.exists(path):
                with open(path, "rb") as file:
                    data = file.read()
            with open(path, "wb") as file:
                file.write(change.of(data))
            call = Call(
                home=self.path,
                args={"all": True},
                attached=b"",
                wire=Wire(acts._Caller(), "m"),
                umask=0o077,
            )
            for _ in range(2):  # the first may settle it
                answer = json.loads(listing.run(call))
                found = rows.of_answer("big", "list", answer)
                listed = [row["run_id"] for row in found]
                assert acts.EARLIER in listed
                assert acts.THIS in listed or answer["unreadable"]
                table.of_runs(found).plain()
                table.of_history(found).plain()
            if name in OF_JOB:
                acts.launch_run(self.path, acts.LATER)
                assert os.path.isdir(acts.run_of(self.path, acts.LATER).root)
            elif name == IDENTITY:
                with contextlib.suppress(DobbyError):  # another repository, or "unreadable"
                    acts.launch_run(self.path, acts.LATER)


class Damage:
    """A change of a file's bytes."""

    def __init__(self, kind: str, at: float, bytes_: bytes, value: Any) -> None:
        self.kind, self.at, self.bytes, self.value = kind, at, bytes_, value

    def __repr__(self) -> str:
        return f"Damage({self.kind!r}, {self.at!r}, {self.bytes!r}, {self.value!r})"

    def of(self, data: bytes) -> bytes:
        place = int(self.at * len(data))
        if self.kind == "cut":
            return data[:place]
        if self.kind == "over":
            return data[:place] + self.bytes + data[place + len(self.bytes) :]
        if self.kind == "whole":
            return self.bytes
        return self._with_value(data)

    def _with_value(self, data: bytes) -> bytes:
        """One value of one line is another one."""
        lines = data.splitlines(keepends=True) or [b"{}\n"]
        number = min(int(self.at * len(lines)), len(lines) - 1)
        try:
            content = json.loads(lines[number])
        except ValueError:  # a file that holds a word, or a number
            return json.dumps(self.value).encode()
        spots = list(_spots(content))
        if not spots:
            lines[number] = json.dumps(self.value).encode() + b"\n"
            return b"".join(lines)
        holder, key = spots[int(self.at * 7919) % len(spots)]
        holder[key] = self.value
        lines[number] = json.dumps(content).encode() + b"\n"
        return b"".join(lines)


def _spots(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _spots(value[key])


def damages(json_values: some.SearchStrategy[Any]) -> some.SearchStrategy[tuple[str, bool, Damage]]:
    """File, whether the run was settled before, and what happens to it."""
    damage = some.builds(
        Damage,
        some.sampled_from(["cut", "over", "whole", "value", "value", "value"]),
        some.floats(0, 0.999),
        some.binary(max_size=6),
        json_values,
    )
    return some.tuples(some.sampled_from(FILES), some.booleans(), damage)
