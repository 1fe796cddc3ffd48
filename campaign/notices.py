"""People are told: soon after the end, and in the end also where the channel was out of order."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.client import hook as hooks
from tests.client.carried import steward, touch
from tests.wait import until

from campaign.frame import Experiment

if TYPE_CHECKING:
    import random
    from http.server import ThreadingHTTPServer

    from campaign.frame import Tally
    from campaign.lab import Lab

ALL_TOLD_S = (60.0, 4.0)  # in all, and for each run: a channel that asks for a rest gets it
OUTAGES: tuple[tuple[int, dict[str, str]], ...] = (
    (500, {}),
    (503, {}),
    (429, {"Retry-After": "1"}),
    (302, {"Location": "http://127.0.0.1:9/elsewhere"}),
)


def tried(lab: Lab, tally: Tally) -> None:
    """From the command's end to the first try of the notice that says so."""
    with hooks.serve() as hook:
        hooks.configure(lab.host, hooks.table("team", hook))
        client = lab.client()

        def one(number: int, chance: random.Random) -> None:
            run_id, gate = f"r{number}", f"{lab.sshd.home}/gate{number}"
            run = hooks.gated(client, lab.host, gate, chance.choice([0, 4]), run_id=run_id, label=run_id)
            until(lambda: hook.of_run(run_id) == ["started"], 20, evidence=lambda: hook.of_run(run_id))
            touch(gate)
            opened = time.monotonic()
            until(lambda: len(hook.of_run(run_id)) == 2, 20, evidence=run.row)
            at = next(post.at for post in reversed(hook.posts) if post.body["run"]["run_id"] == run_id)
            tally.took(at - opened)

        tally.spread(one)


class Outage(hooks.Hook):
    """Refuses each notice as often as `refusals(run id, kind)` says; `taken` counts what it took,
    by run, kind and event id."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        super().__init__(server)
        self.plans: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
        self.taken: Counter[tuple[str, str]] = Counter()

    def arrived(self, body: dict[str, Any]) -> tuple[int, dict[str, str]]:
        notice = (str(body["run"]["run_id"]), str(body["kind"]))
        plan = self.plans.get(notice, [])
        if plan:
            return plan.pop()
        self.taken[notice] += 1
        return 200, {}


def outages(lab: Lab, tally: Tally) -> None:
    """A service that refuses for a while, and stewards that are killed meanwhile: nothing is lost, and
    what is told twice is told twice by a steward that was killed."""
    killed = 0
    with hooks.serve_as(Outage) as hook:
        hooks.configure(lab.host, hooks.table("team", hook))
        client = lab.client()

        def one(number: int, chance: random.Random) -> None:
            nonlocal killed
            run_id, code = f"r{number}", chance.choice([0, 4])
            for kind in ("started", "succeeded" if code == 0 else "failed"):
                hook.plans[run_id, kind] = [
                    chance.choice(OUTAGES) for _ in range(chance.choice([0, 1, 1, 2]))
                ]
            lab.launch(client, f"exit {code}", run_id, label=f"job{number % 8}", if_running="queue")
            if chance.random() < 0.05:
                os.kill(steward(lab.host), signal.SIGKILL)
                killed += 1

        tally.spread(one)
        # The last of them may have been killed when no supervisor was left: any contact starts one.
        patience_s = ALL_TOLD_S[0] + ALL_TOLD_S[1] * tally.wanted
        until(lambda: _all_told(lab, hook), patience_s, evidence=lambda: _missing(hook))
    for notice, times in hook.taken.items():
        if times > 1 + killed:
            tally.failed(f"{notice} was told {times} times, and {killed} stewards were killed")
    if hook.taken.total() - len(hook.plans) > killed:
        tally.failed(f"{hook.taken.total()} were told of {len(hook.plans)}; {killed} stewards were killed")
    for missing in _missing(hook):
        tally.failed(f"{missing} was never told")


def _all_told(lab: Lab, hook: Outage) -> bool:
    lab.client().ps(host=lab.host.name)
    return not _missing(hook) and not hooks.outbox(lab.host)


def _missing(hook: Outage) -> list[tuple[str, str]]:
    return [notice for notice in hook.plans if not hook.taken[notice]]


EXPERIMENTS = (
    Experiment("notices-tried", 100, 8, tried, most_s=5.0),
    Experiment("channel-outages", 100, 8, outages),
)
