"""Every point at which a play can break: each change is made to fail, and to be the last that happens.

A change that is the last leaves a disk (disk.py): as it was seen when every process is killed, and as it
may be when the power comes back. On each such disk the agent's own readers and writers carry on, and
what had been promised must hold.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
import random
import shutil
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from tests.crash import acts
from tests.crash.plays import PLAYS
from tests.crash.record import Fault, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Optional

    from tests.crash.acts import Play
    from tests.crash.disk import Disk, Op, Tree

HOME = "home"


class Summary(NamedTuple):
    """`points` at which something was made to happen, `disks` that were looked at, and what was wrong."""

    points: int
    disks: int
    wrong: list[str]


class Performance(NamedTuple):
    """A play as it went: the changes, the acts that returned, and after how many changes each did."""

    before: Disk
    ops: list[Op]
    returned: list[int]
    steps: int
    raised: str = ""

    def done_at(self, changes: int) -> int:
        return sum(1 for at in self.returned if at <= changes)


def explore(seed: int, progress: Callable[[str], None], mixtures: int = 3, apart: int = 1) -> Summary:
    """Every play, every point, every fault, and `mixtures` times six random power cuts at each point.
    With `apart` the random ones alone, and of the changes that are to fail one in so many, by chance."""
    total = Summary(0, 0, [])
    for name in PLAYS:
        for found in _all_of(name, seed, mixtures, apart):
            points, disks = total.points + found.points, total.disks + found.disks
            total = Summary(points, disks, total.wrong + found.wrong)
            progress(f"{name}: {total.points} points, {total.disks} disks, {len(total.wrong)} wrong")
    return total


def _all_of(name: str, seed: int, mixtures: int, apart: int) -> Iterator[Summary]:
    if apart == 1:
        yield crash_everywhere(name)
    steps = slice(random.Random(f"{seed} {name}").randrange(apart), None, apart)
    yield fail_everywhere(name, (errno.EIO, errno.ENOSPC), (False, True), steps)
    for number in range(mixtures):
        yield crash_everywhere(name, random.Random(seed + number))


def crash_everywhere(name: str, chance: Optional[random.Random] = None) -> Summary:
    """Let each change be the last."""
    play = PLAYS[name]()
    with _stage() as stage:
        performance = _perform(play, stage, None)
        assert not performance.raised, performance.raised
        points, seen, wrong = len(performance.ops) + 1, set[object](), list[str]()
        for what in _look(play, performance, stage, seen, chance):
            wrong.append(f"{name}: {what}")
        return Summary(points, len(seen), wrong)


def unmissed(name: str) -> list[str]:
    """The fsyncs that could be left out and no look would tell: none, if the looks are sharp."""
    play, found = PLAYS[name](), []
    with _stage() as stage:
        performance = _perform(play, stage, None)
        for number, op in enumerate(performance.ops):
            looks = _look(play, performance, stage, set(), None, without=number)
            if op.kind == "fsync" and next(looks, None) is None:
                found.append(str(op))
    return found


def _look(
    play: Play,
    performance: Performance,
    stage: str,
    seen: set[object],
    chance: Optional[random.Random] = None,
    without: int = -1,
) -> Iterator[str]:
    """What is wrong. `without`: the change of this number is left out, and what was before it is not
    looked at."""
    disk = performance.before.copy()
    for number in range(len(performance.ops) + 1):
        done, last = performance.done_at(number), number == len(performance.ops)
        for rebooted, tree in _after(disk, chance) if number > without else ():
            if _is_new(seen, rebooted, done, tree):
                for wrong in _examine(play, stage, tree, done, rebooted):
                    yield f"crash {'at the end' if last else f'before {performance.ops[number]}'}: {wrong}"
        if not last and number != without:
            disk.apply(performance.ops[number])


def _after(disk: Disk, chance: Optional[random.Random]) -> Iterator[tuple[bool, Tree]]:
    yield False, disk.as_seen()
    for tree in disk.after_power_cut(chance):
        yield True, tree


def _is_new(seen: set[object], rebooted: bool, done: int, tree: Tree) -> bool:
    key = (rebooted, done, frozenset(tree.items()))
    if key in seen:
        return False
    seen.add(key)
    return True


def fail_everywhere(
    name: str, errors: tuple[int, ...], stays: tuple[bool, ...] = (False,), steps: slice = slice(0, None, 1)
) -> Summary:
    """Let each change, or those of `steps`, fail with each of the errors, once or (a full disk) from there
    on. The play goes on as the agent does; the process then dies, and the power goes with what was not
    fsynced."""
    play, points, disks, wrong = PLAYS[name](), 0, 0, list[str]()
    play.faulted = True
    faults = [(error, stay) for error in errors for stay in stays if not stay or error == errno.ENOSPC]
    for error, stay in faults:
        for step in itertools.count(steps.start, steps.step):
            with _stage() as stage:
                fault = Fault(step, error, stay)
                performance = _perform(play, stage, fault)
                if not fault.hit and step >= performance.steps:
                    break
                points += 1
                disk = performance.before.copy()
                for op in performance.ops:
                    disk.apply(op)
                last = next(disk.after_power_cut())
                what = f"{name}: {errno.errorcode[error]}{' for good' if stay else ''} at {fault.hit}"
                done = len(performance.returned)
                if stay and performance.raised and play.acts[done] in play.spared:
                    wrong.append(f"{what}: {performance.raised}")
                for rebooted, tree in ((False, disk.as_seen()), (True, last)):
                    disks += 1
                    wrong += [f"{what}: {w}" for w in _examine(play, stage, tree, done, rebooted)]
    return Summary(points, disks, wrong)


# --- on the stage -----------------------------------------------------------------------------------


class _stage:
    """An empty directory, in memory where there is one."""

    def __enter__(self) -> str:
        self._path = tempfile.mkdtemp(
            prefix="crash-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
        )
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _perform(play: Play, stage: str, fault: Optional[Fault]) -> Performance:
    home, returned, raised = f"{stage}/{HOME}", list[int](), ""
    with acts.on_this_boot(acts.BOOT):
        play.prepare(home)
    heard = Recorder(stage, fault)
    said = io.StringIO()  # what cannot be recorded is told on stderr
    with acts.on_this_boot(acts.BOOT), contextlib.redirect_stderr(said), heard:
        for act in play.acts:
            try:
                act(home)
            except Exception as error:
                raised = repr(error)
                break
            returned.append(len(heard.ops))
    shutil.rmtree(home, ignore_errors=True)
    return Performance(heard.before, heard.ops, returned, heard.steps, raised)


def _examine(play: Play, stage: str, tree: Tree, done: int, rebooted: bool) -> list[str]:
    home = f"{stage}/{HOME}"
    _lay(stage, tree)
    real, os.fsync = os.fsync, lambda fd: None
    try:
        with acts.on_this_boot(acts.NEXT_BOOT if rebooted else acts.BOOT):
            return play.broken(home, done, rebooted)
    except Exception as error:
        return [f"it cannot go on: {error!r}"]
    finally:
        os.fsync = real
        shutil.rmtree(home, ignore_errors=True)


def _lay(stage: str, tree: Tree) -> None:
    first: dict[int, str] = {}
    for path in sorted(tree):
        node, data = tree[path]
        if data is None:
            os.mkdir(f"{stage}/{path}", 0o700)
        elif first.setdefault(node, path) != path:
            os.link(f"{stage}/{first[node]}", f"{stage}/{path}")
        else:
            with open(f"{stage}/{path}", "wb") as file:
                file.write(data)
