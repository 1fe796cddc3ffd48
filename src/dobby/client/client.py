"""`Client`: a method for each verb. The command line and the page use nothing else."""

from __future__ import annotations

import os

from dobby.client import asking, including, listing, state, targets
from dobby.client.by_url import source_by_url
from dobby.client.hosts import Hosts
from dobby.client.listing import Listing
from dobby.client.run import Run
from dobby.config import DEFAULT
from dobby.core.errors import DobbyError, Unreachable, UsageError
from dobby.core.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from dobby.client.asking import Source
    from dobby.client.channels import Channels
    from dobby.client.following import Follower, Reader
    from dobby.client.host_book import HostBook
    from dobby.config import Options


def _ignore(*_: object) -> None:
    return None


class Client:
    """Runs things on hosts, for the checkout at `cwd`.

    `say(sentence)` hears what dobby says about its work, `progress(what, done, total)` how far
    it is (bytes; total None where unknown). `interactive`: ssh may ask on the terminal. `lasting`:
    one call follows another, so what serves it on a host waits some seconds for the next.
    Every method raises `DobbyError` or one of its kinds."""

    def __init__(
        self,
        *,
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
        say: Callable[[str], None] = _ignore,
        progress: Callable[[str, int, int | None], None] = _ignore,
        interactive: bool = False,
        lasting: bool = True,
    ) -> None:
        self._cwd = cwd or os.getcwd()
        self._environ = dict(os.environ if environ is None else environ)
        self._say, self._progress, self._interactive = say, progress, interactive
        self._lasting = lasting
        self._known: tuple[Options, Hosts] | None = None

    # --- what is settled before any host is asked ---------------------------------------

    def settings(self) -> Options:
        """All settings as they are here, each with its source."""
        files, revision = targets.files_here(self._cwd)
        return asking.options_of(self._environ, {}, files, revision)

    def _here(self) -> tuple[Options, Hosts]:
        """Settings and hosts; both the same for as long as this client lives."""
        if self._known is None:
            options = self.settings()
            hosts = Hosts(options, self._environ, self._say, self._interactive, self._lasting)
            self._known = options, hosts
        return self._known

    def _hosts(self) -> Hosts:
        return self._here()[1]

    @property
    def hosts(self) -> HostBook:
        """The hosts that the user has named: add, list, remove."""
        from dobby.client.host_book import HostBook

        return HostBook(self.settings, self._environ, self._say, self._interactive)

    @property
    def channels(self) -> Channels:
        """Where a host's notices go: add, list, test, remove."""
        from dobby.client.channels import Channels

        return Channels(*self._here(), self._environ, self._say)

    def _targets(self) -> targets.Targets:
        options, hosts = self._here()
        return targets.Targets(hosts, options, self._cwd, self._environ)

    # --- launching ----------------------------------------------------------------------

    def run(self, revision: str, command: str, *, follower: Follower | None = None, **options: Any) -> Run:
        """Launch `command` (one string, for bash -c) on `revision` ("." is the working tree).

        `options`: those of the command line by name: label, host, environment, setup, output,
        keep, timeout, grace, if_running …, and env, env_file, dir, repo, run_id, force, dry_run.
        Returns once the host has acknowledged; with a `follower`, once the run is final. Raises
        Busy when the label is held."""
        flags = {key: value for key, value in options.items() if key not in asking.GIVEN}
        given = asking.check_given(revision, command, flags, options)
        early = asking.options_of(self._environ, flags, {}, revision)  # refuses what is wrong in itself
        hosts = self._hosts()
        hosts.transport(early.host)
        # A project's file may only name the host where nobody else does.
        if not given.dry_run and early.sources["host"] != DEFAULT:
            hosts.begin(early.host)
        try:
            source = self._source(revision, flags, given)
            chosen = asking.options_of(self._environ, flags, source.files, revision)
            for sentence in asking.worth_saying(chosen):
                self._say(sentence)
            asked = asking.compose(source, chosen, revision, command, given, self._environ)
            asked = including.of_options(asked, source, chosen, self._say)
            return self._launch(asked, source, follower, given.dry_run)
        finally:
            hosts.give_up()

    def _source(self, revision: str, flags: dict[str, Any], given: asking.Given) -> Source:
        if given.repo:
            return source_by_url(self._hosts(), self._environ, given.repo, revision, flags, self._say)
        foretell, say = self._hosts().foretell, self._say
        return asking.take_source(self._cwd, revision, self._environ, flags, given.force, say, foretell)

    def _launch(
        self, asked: asking.Asked, source: Source, follower: Follower | None, dry_run: bool = False
    ) -> Run:
        from dobby.client.following import Reader
        from dobby.client.launching import Launch
        from dobby.client.telling import say_who_is_told

        request = asked.request
        what = f"{request.label}: {request.revision} at {request.commit[:12]} on {asked.host}"
        if dry_run:
            self._say(f"would run {what}: {request.command}")
            return Run(row=targets.unsent_row(asked))
        self._say(f"{what} ({request.subject})" if request.subject else what)
        runs: list[Run] = []

        def acknowledged(answer: dict[str, Any]) -> None:
            run = Run(row=answer["run"], already=answer["already"])
            runs.append(run)
            state.remember(self._environ, asked.host, run.project, run.label)
            if run.already:
                self._say(f"already {run.row['status']}: this run was asked for before")
            elif "audience" in answer:
                say_who_is_told(self._environ, asked.host, answer["audience"], self._say)
            if follower:
                follower.acknowledged(run)

        launch = Launch(self._hosts(), asked, source, self._say, self._progress, acknowledged)
        if follower is None:
            launch.go()
            return runs[0]
        row = launch.follow(Reader(follower.write, follower.setup, self._say, 0))
        return Run(row=row, already=runs[0].already)

    def restart(
        self,
        label: str,
        *,
        host: str | None = None,
        run: str | None = None,
        same: bool = False,
        env: Iterable[str] = (),
        env_file: str | None = None,
        force: bool = False,
        follower: Follower | None = None,
    ) -> Run:
        """Stop the run if it is live, then launch the same request on the revision's present
        tip, or with `same` on its own commit. Forwarded values are read from here again."""
        from dobby.client import restarting

        found = self._targets().show(label, host, run, more=True)
        asked, source = restarting.ask_again(
            found,
            cwd=self._cwd,
            environ=self._environ,
            same=same,
            words=list(env),
            env_file=env_file,
            force=force,
            hosts=self._hosts(),
            settings=self._here()[0],
            say=self._say,
        )
        return self._launch(asked, source, follower)

    # --- living with runs ----------------------------------------------------------------

    def find(self, label: str, *, host: str | None = None, run: str | None = None) -> Run:
        """The run that is meant: see `dobby --help` on LABEL, -H and --run."""
        return Run(row=self._targets().show(label, host, run)["run"])

    def ps(
        self,
        labels: Iterable[str] = (),
        *,
        all: bool = False,
        host: str | None = None,
        meanwhile: Callable[[Listing], Any] | None = None,
    ) -> Listing:
        """Live runs and each job's latest, of all hosts; `all` runs. `meanwhile` gets what is there
        when some hosts keep one waiting. Raises Unreachable when no host answered."""
        return listing.ask(self._hosts(), list(map(targets.split, labels)), all, host, self._say, meanwhile)

    def history(
        self,
        *,
        label: str | None = None,
        user: str | None = None,
        status: str | None = None,
        since: str | None = None,
        host: str | None = None,
    ) -> Listing:
        """All runs, newest first. `since`: ISO 8601, the beginning of one, or an age ("2d")."""
        earliest = listing.earliest(since)  # refused before any host is asked
        found = listing.ask(self._hosts(), [targets.split(label)] if label else [], True, host, self._say)
        return listing.narrowed(found, user, status, earliest)

    def logs(
        self,
        label: str,
        write: Callable[[bytes], Any],
        *,
        setup: Callable[[bytes], Any] = _ignore,
        host: str | None = None,
        run: str | None = None,
        follow: bool = False,
        tail: int | None = None,
        all: bool = False,
    ) -> dict[str, Any]:
        """The job's bytes to `write`, in order and exact; with `all` the set-up's too, from the
        file's first byte, to `setup`. `follow` until the run is final, across lost connections.
        The row as it is then."""
        from dobby.client.following import Reader

        offset = 0 if all else None
        reader = Reader(write, setup, self._say, offset)
        return self._follow(label, host, run, reader, {"follow": follow, "tail": tail, "offset": offset})

    def wait(self, label: str, *, host: str | None = None, run: str | None = None) -> dict[str, Any]:
        """Block until the run is final; its row."""
        from dobby.client.following import Reader

        reader = Reader(_ignore, _ignore, self._say, None)
        return self._follow(label, host, run, reader, {"follow": True, "quiet": True})

    def _follow(
        self, label: str, host: str | None, run: str | None, reader: Reader, how: dict[str, Any]
    ) -> dict[str, Any]:
        from dobby.client.following import follow

        def go(where: str, which: dict[str, Any]) -> dict[str, Any]:
            return follow(self._hosts(), where, {**which, **how}, reader, self._say)

        return self._targets().reach(label, host, run, go)

    def stop(
        self, label: str, *, host: str | None = None, run: str | None = None, grace_s: float | None = None
    ) -> dict[str, Any]:
        """End the run, and by its label those queued behind it. Returns the row once nothing of
        it is left."""
        by = asking.of_caller(self._environ)["user"]

        def end(where: str, which: dict[str, Any]) -> dict[str, Any]:
            return self._hosts().call(where, "stop", {**which, "by": by, "grace_s": grace_s})

        row: dict[str, Any] = self._targets().reach(label, host, run, end)["run"]
        return row

    def clean(
        self,
        labels: Iterable[str] = (),
        *,
        all: bool = False,
        older_than_s: float | None = None,
        keep_logs: bool = False,
        outputs: bool = False,
        host: str | None = None,
    ) -> dict[str, Any]:
        """Remove what jobs that are not running take up; history stays. Answers `cleaned` and
        `kept`, each with `host`."""
        names = list(labels)
        if bool(names) == all:
            raise UsageError("clean takes labels, or --all", "name the labels, or say --all")
        targets_ = self._targets()
        found: dict[str, Any] = {"cleaned": [], "kept": []}
        for name, pairs in targets_.group(names, host).items():
            args = {
                "labels": pairs,
                "prefer": targets_.prefer,
                "older_than_s": older_than_s,
                "keep_logs": keep_logs,
                "outputs": outputs,
            }
            answer = self._hosts().call(name, "clean", args)
            for kind, entries in found.items():
                entries += [{**entry, "host": name} for entry in answer[kind]]
        return found

    def fetch(
        self,
        label: str,
        paths: Iterable[str] = (),
        *,
        to: str | None = None,
        overwrite: bool = False,
        host: str | None = None,
        run: str | None = None,
    ) -> dict[str, Any]:
        """Copy a run's outputs, or `paths` of its sandbox, into `to` (default ./LABEL). Answers
        `run to files bytes unchanged differs`."""
        from dobby.client.fetching import fetch

        found = self._targets().show(label, host, run, more=True)["run"]
        args = {**targets.exactly(found), "paths": list(paths)}
        into = os.path.join(self._cwd, to or check_name(found["label"], "label"))
        return fetch(self._hosts(), found["host"], args, into, overwrite, self._progress)

    def shell(self, label: str, *, host: str | None = None, run: str | None = None) -> int:
        """An interactive shell in the job's sandbox, its environment active; the shell's exit code."""
        found = self._targets().show(label, host, run, more=True)["run"]
        hosts = self._hosts()
        answer = hosts.call(found["host"], "shell", targets.exactly(found))
        return hosts.transport(found["host"]).shell(targets.enter_command(hosts.agent(), answer["enter"]))


__all__ = ["Client", "DobbyError", "Listing", "Run", "Unreachable"]
