"""Stay with a run until it is final: what `run -f`, `restart -f` and `logs -f` do."""

from __future__ import annotations

from dobby.cli import outcome
from dobby.cli.streams import LogSink, print_json, print_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client, Follower, Run


def announce(run: Run, voice: Voice, *, follow: bool, as_json: bool) -> None:
    """The run id to stdout, unless the job's bytes will go there; how to follow to stderr."""
    if run.row.get("status") == "queued":
        from dobby.views.table import status_text

        voice.say(status_text(run.row))
    if follow:
        voice.say(f"run {run.run_id}")
        return
    voice.say(f"follow with: dobby logs {run.label} -f")
    if as_json:
        from dobby.views import json

        print_json(json.of_launch(run.row, run.log_command))
    else:
        print_out(run.run_id)


def follow_launch(launch: Callable[[Follower], Run], voice: Voice, *, as_json: bool) -> int:
    """`launch` and its output until the end; the job's exit code. Ctrl-C after the
    acknowledgement detaches."""
    from dobby.client import Follower

    runs: list[Run] = []

    def acknowledged(run: Run) -> None:
        runs.append(run)
        announce(run, voice, follow=True, as_json=as_json)

    out, setup = LogSink(to_stderr=as_json), LogSink(to_stderr=True)
    try:
        row = launch(Follower(acknowledged=acknowledged, write=out.write, setup=setup.write)).row
    except KeyboardInterrupt:
        if not runs:
            raise
        return _detached(voice, f"{runs[0].log_command} -f")
    finally:
        setup.finish()
        out.finish()
    return _ended(row, voice, as_json=as_json)


def _detached(voice: Voice, come_back: str) -> int:
    voice.say(f"\ndetached; the job goes on, come back with: {come_back}")
    return outcome.INTERRUPTED


def _ended(row: dict[str, Any], voice: Voice, *, as_json: bool) -> int:
    if as_json:
        from dobby.views import json

        print_json(json.of_row(row))
    else:
        voice.say(outcome.sentence(row))
    return outcome.exit_code(row)


def follow(
    client: Client,
    label: str,
    place: dict[str, Any],
    voice: Voice,
    come_back: str,
    *,
    as_json: bool,
    **how: Any,
) -> int:
    """What `label` means at `place` (host, run), until its end; its exit code. Ctrl-C detaches."""
    try:
        row = show_log(client, label, place, follow=True, as_json=as_json, **how)
    except KeyboardInterrupt:
        return _detached(voice, come_back)
    return _ended(row, voice, as_json=as_json)


def show_log(
    client: Client,
    label: str,
    place: dict[str, Any],
    *,
    follow: bool,
    as_json: bool,
    tail: int | None = None,
    all: bool = False,
    raw: bool = False,
) -> dict[str, Any]:
    """The job's bytes to stdout and the set-up's to stderr, with `all` both to stdout; where
    JSON is asked for, both to stderr. Returns the row."""
    out = LogSink(to_stderr=as_json, raw=raw)
    setup = LogSink(to_stderr=as_json or not all, raw=raw)
    try:
        return client.logs(
            label, out.write, setup=setup.write, follow=follow, tail=tail, all=tail is None, **place
        )
    finally:
        setup.finish()
        out.finish()
