"""Which run, on which host, a caller's LABEL means."""

from __future__ import annotations

import os

from dobby.client import asking, state
from dobby.core import names
from dobby.core.errors import DobbyError, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    T = TypeVar("T")

    from dobby.client.asking import Asked
    from dobby.client.hosts import Hosts
    from dobby.config import Options
    from dobby.shipping import Agent


def split(label: str) -> tuple[str, str]:
    """PROJECT/LABEL or LABEL: (project or "", label). Raises UsageError before any connection."""
    project, slash, name = label.rpartition("/")
    if slash:
        names.check_name(project, "project")
    return project, names.check_name(name, "label")


def files_here(cwd: str) -> tuple[dict[str, str], str]:
    """The settings files of the checkout around `cwd` as they lie there, and what to call them."""
    top = _top(cwd)
    return asking.files_on_disk(top) if top else {}, "the working tree"


def _top(cwd: str) -> str:
    """The checkout's top without a git process: the nearest parent that has .git; "" outside."""
    path = os.path.abspath(cwd)
    while not os.path.exists(f"{path}/.git"):
        if path == "/":
            return ""
        path = os.path.dirname(path)
    return path


def project_here(cwd: str, options: Options) -> str:
    """The name of the checkout's project, "" outside one."""
    if options.name:
        return options.name
    if not _top(cwd):
        return ""
    from dobby import snapshot as snap

    try:
        checkout = snap.open_checkout(cwd)
    except DobbyError:
        return ""
    return asking.project_name(options, checkout.origin, checkout.top)


def exactly(row: dict[str, Any], by_label: bool = False) -> dict[str, Any]:
    """Arguments that name this very run to its host, or with `by_label` its job alone."""
    run_id = "" if by_label else row["run_id"]
    return {"project": row["project"], "label": row["label"], "run": run_id}


class Targets:
    """Looks runs up by label: where this laptop launched it last, then on all hosts."""

    def __init__(self, hosts: Hosts, options: Options, cwd: str, environ: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._environ = environ
        self._options, self._cwd = options, cwd
        self._prefer: str | None = None

    @property
    def prefer(self) -> str:
        """The checkout's project: it is meant where a label is known to several."""
        if self._prefer is None:
            self._prefer = project_here(self._cwd, self._options)
        return self._prefer

    def args(self, label: str, run: str | None) -> dict[str, Any]:
        project, name = split(label)
        if run:
            names.check_name(run, "run id")
        prefer = "" if project else self.prefer
        return {"project": project, "label": name, "run": run or "", "prefer": prefer}

    def reach(
        self, label: str, host: str | None, run: str | None, act: Callable[[str, dict[str, Any]], T]
    ) -> T:
        """`act(host, args)` on the host that has the run: the one named, or where it was launched
        last from here, without a question before; else the only one of all hosts that knows it.

        Raises NotFound, UsageError when several hosts have it, Unreachable."""
        args = self.args(label, run)
        first = host or state.last_host(self._environ, args["project"] or args["prefer"], args["label"])
        if first:
            try:
                return act(first, args)
            except NotFound as error:
                if host:
                    raise _named(error, host) from None
        row = self._everywhere(label, args, first)["run"]
        return act(row["host"], exactly(row, by_label=not run))

    def show(self, label: str, host: str | None, run: str | None, more: bool = False) -> dict[str, Any]:
        """The agent's `run` (a row) and `request`. `more`: another call follows. Raises as `reach`."""

        def ask(where: str, which: dict[str, Any]) -> dict[str, Any]:
            return self._hosts.call(where, "show", which, more=more)

        return self.reach(label, host, run, ask)

    def _everywhere(self, label: str, args: dict[str, Any], but: str) -> dict[str, Any]:
        asked = [name for name in self._hosts.known() if name != but]
        answers = self._hosts.ask_all(asked, "show", args) if asked else []
        found = [a.result for a in answers if a.result]
        for answer in answers:
            if isinstance(answer.error, UsageError):  # several of that host's are meant
                raise answer.error
        if len(found) == 1:
            return found[0]
        if found:
            where = ", ".join(r["run"]["host"] for r in found)
            raise UsageError(f"{names.shown(label)} is on several hosts: {where}", "say which with -H")
        for answer in answers:
            if answer.error and not isinstance(answer.error, NotFound):
                raise answer.error
        what = (
            f"run {names.shown(args['run'])} of {names.shown(label)}" if args["run"] else names.shown(label)
        )
        raise NotFound(
            f"no host knows {what} (asked: {', '.join(sorted({*asked, *([but] if but else [])}))})",
            "`dobby ps -a` lists what there is",
        )

    def group(self, labels: list[str], host: str | None) -> dict[str, list[tuple[str, str]]]:
        """Labels by the host that has them; none: every host, with an empty list for all."""
        if not labels:
            return {name: [] for name in ([host] if host else self._hosts.known())}
        found: dict[str, list[tuple[str, str]]] = {}
        for label in labels:
            if host:
                found.setdefault(host, []).append(split(label))
                continue
            row = self.show(label, None, None)["run"]
            found.setdefault(row["host"], []).append((row["project"], row["label"]))
        return found


def _named(error: NotFound, host: str) -> NotFound:
    return NotFound(error.message.replace("this host", host), "`dobby ps -a` lists what there is")


def unsent_row(asked: Asked) -> dict[str, Any]:
    """What `--dry-run` answers: the run as it would be, status "planned"."""
    request = asked.request
    return {
        "host": asked.host,
        "project": request.project,
        "label": request.label,
        "run_id": request.run_id,
        "status": "planned",
        "revision": request.revision,
        "commit": request.commit,
        "command": request.command,
        "dir": request.dir,
        "environment": list(request.environment),
        "digest": request.digest(),
    }


def enter_command(agent: Agent, path: str) -> str:
    """The constant shell text that enters a prepared shell: hex digits alone are added."""
    return (
        'd=${DOBBY_HOME:-$HOME/.dobby}; a="$d/agent/' + agent.digest + '"; IFS= read -r p <"$a/python"; '
        'exec "$p" -I -S "$a/enter.py" ' + os.fsencode(path).hex()
    )
