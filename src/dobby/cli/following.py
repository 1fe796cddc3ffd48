"""Stay with a run until it is final: what `run -f`, `restart -f` and `logs -f` do."""

from __future__ import annotations

from dobby.cli import outcome
from dobby.cli.streams import LogSink, print_json, print_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.cli.streams import Voice
    from dobby.client import Client, Run


def announce(run: Run, voice: Voice, *, follow: bool, as_json: bool) -> None:
    """The run id to stdout, unless the job's bytes will go there; how to follow to stderr."""
    if follow:
        voice.say(f"run {run.run_id}")
        return
    voice.say(f"follow with: {run.log_command} -f")
    if as_json:
        from dobby.views import json

        print_json(json.of_launch(run.row, run.log_command))
    else:
        print_out(run.run_id)


def follow_run(client: Client, run: Run, voice: Voice, *, as_json: bool) -> int:
    """The run's output until its end; the job's exit code."""
    label = f"{run.project}/{run.label}"
    place = {"host": run.host, "run": run.run_id}
    return follow(client, label, place, voice, f"{run.log_command} -f", as_json=as_json)


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
    """As `follow_run`, of what `label` means at `place` (host, run). Ctrl-C detaches."""
    try:
        row = show_log(client, label, place, follow=True, as_json=as_json, **how)
    except KeyboardInterrupt:
        voice.say(f"\ndetached; the job goes on, come back with: {come_back}")
        return outcome.INTERRUPTED
    if not as_json:
        voice.say(outcome.sentence(row))
    return outcome.exit_code(row)


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
    JSON is asked for, both to stderr and the row to stdout. Returns the row."""
    out = LogSink(to_stderr=as_json, raw=raw)
    setup = LogSink(to_stderr=as_json or not all, raw=raw)
    try:
        row = client.logs(
            label, out.write, setup=setup.write, follow=follow, tail=tail, all=tail is None, **place
        )
    finally:
        setup.finish()
        out.finish()
    if as_json:
        from dobby.views import json

        print_json(json.of_row(row))
    return row
