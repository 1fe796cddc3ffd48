"""A job's environment: chosen, built where its recipe has changed, and made active.

<job>/environment/KIND/   one directory a kind: venv/, a key for each layer (layers.py),
                          and what the build wrote into the checkout (built.py)
<job>/environment/setup/  the key of the set-up command, where it has one
<job>/environment/active.json   what the last preparation put into the command's environment
"""

from __future__ import annotations

import importlib
import json
import os
import posixpath

from dobby.agent import built, durable, environments, globs, layers, survey, trees, variables
from dobby.core.digest import sha256
from dobby.core.errors import UsageError
from dobby.core.plan import LOCKED, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dobby.agent.steps import Steps
    from dobby.core import layout
    from dobby.core.plan import Kind, Plan
    from dobby.core.request import Request

AUTO = "auto"
_SETUP = "setup"


def kinds() -> list[str]:
    """The known environments, by their modules' names."""
    names = os.listdir(os.path.dirname(environments.__file__))
    return sorted(n[:-3] for n in names if n.endswith(".py") and not n.startswith("_"))


def check_kind(name: str) -> None:
    """Raises UsageError, listing the known ones."""
    if name != AUTO and name not in kinds():
        raise UsageError(f"environment {name!r} is unknown", f"one of {', '.join([AUTO, *kinds()])}")


def prepare(run: layout.Run, request: Request, steps: Steps) -> dict[str, str]:
    """Environment and set-up command, each a phase. The variables for the command are `steps.env`
    with the environment active. Raises StepFailed."""
    steps.begin("environment")
    try:
        plans, notes, changed = _prepare(run.job, request, steps)
        if changed:
            _forget_setup(run.job)
        _record(run.job, plans)
    except PlanError as error:
        raise steps.fail(str(error)) from None
    except OSError as error:
        raise steps.fail(f"the environment could not be built: {error}") from None
    steps.done("; ".join(notes) or "none declared")
    env = activated(run.job, steps.env)
    if request.setup:
        steps.begin(_SETUP)
        try:
            steps.done(_set_up(run.job, request, steps, {**env, **dict(request.variables)}))
        except OSError as error:
            raise steps.fail(f"the set-up could not be recorded: {error}") from None
    return env


def activated(job: layout.Job, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the job's environment active, as the last preparation left it."""
    new = dict(env)
    data = durable.read(_active(job))
    for part in json.loads(data) if data else ():
        for name in part["unset"]:
            new.pop(name, None)
        new.update(part["variables"])
        new["PATH"] = ":".join([*part["path"], new.get("PATH", "")])
    return new


def fingerprint(job: layout.Job) -> str:
    """Hex, of the recipes of all that is built for the job: another one, another environment."""
    keys = sorted(_key_files(job))
    told = [(path, (durable.read(path) or b"").decode("utf-8", "surrogateescape")) for path in keys]
    return sha256(key_text(*told).encode("utf-8", "surrogateescape")).hexdigest()


def _key_files(job: layout.Job) -> list[str]:
    """A set-up command's key counts as well: it may install what it likes. Not that of the project's
    own layer, which goes with the commit."""
    top = job.environment
    folders = [f"{top}/{name}" for name in (os.listdir(top) if os.path.isdir(top) else ())]
    return [
        f"{folder}/{name}"
        for folder in folders
        if os.path.isdir(folder)
        for name in os.listdir(folder)
        if name == "key" or (name.endswith(".key") and name != "project.key")
    ]


# --- the environment ---------------------------------------------------------------------


def _prepare(job: layout.Job, request: Request, steps: Steps) -> tuple[list[Plan], list[str], bool]:
    """The plans, now carried out; a note for each; whether anything was built."""
    durable.make_dirs(job.environment)
    plans, notes, changed = [], [], False
    for name, kind, tree in _choose(job, request, steps.env):
        where = f"{job.environment}/{name}"
        memo = f"{job.environment}/interpreter"
        tools = survey.tools(kind.NEEDS, steps.env, tree, where, memo)
        plan = kind.plan(tree, tools)
        done = layers.bring_up(kind, plan, where, job.sandbox, request.keep, steps)
        plans.append(plan)
        notes.append(_note(name, plan, done, where))
        changed = changed or bool(done)
    return plans, notes, changed


def _choose(
    job: layout.Job, request: Request, env: Mapping[str, str]
) -> list[tuple[str, Kind, survey.Checkout]]:
    """Kinds and the directories that declare them: the run's own, else the nearest above."""
    snapshot = survey.snapshot_of(request)
    trees_up = [survey.Checkout(job.sandbox, dir, snapshot) for dir in _upwards(request.dir)]
    if request.environment != (AUTO,):
        chosen = []
        for name in request.environment:
            if name not in kinds():
                known = ", ".join([AUTO, *kinds()])
                raise PlanError(f"environment {name!r} is unknown: one of {known}")
            kind = _load(name)
            chosen.append((name, kind, next((t for t in trees_up if kind.detect(t)), trees_up[-1])))
        return chosen
    loaded = {name: _load(name) for name in kinds()}
    for tree in trees_up:
        ranks = {name: kind.detect(tree) for name, kind in loaded.items()}
        declared = sorted((n for n, rank in ranks.items() if rank), key=lambda n: -ranks[n])
        able = [
            n
            for n in declared
            if ranks[n] == LOCKED or all(variables.find(need, env) for need in loaded[n].NEEDS)
        ]
        if declared:
            name = (able or declared)[0]
            return [(name, loaded[name], tree)]
    return []


def _upwards(dir: str) -> list[str]:
    """The directory and those above it, the top ("") last."""
    parts = [part for part in posixpath.normpath(dir).split("/") if part != "."] if dir else []
    return ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]


def _load(name: str) -> Kind:
    module: Kind = importlib.import_module(f"{environments.__name__}.{name}")
    return module


def _note(name: str, plan: Plan, done: Sequence[str], where: str) -> str:
    if not plan.layers:
        return name
    if not done:
        return f"{name}: unchanged"
    count = _count_packages(where)
    return f"{name}: {' and '.join(done)} built, {count} package{'' if count == 1 else 's'}"


def _count_packages(where: str) -> int:
    """How many distributions the venv below `where` holds."""
    lib = f"{where}/venv/lib"
    places = [f"{lib}/{python}/site-packages" for python in os.listdir(lib)]
    return sum(name.endswith(".dist-info") for place in places for name in os.listdir(place))


def _active(job: layout.Job) -> str:
    return f"{job.environment}/active.json"


def _record(job: layout.Job, plans: Sequence[Plan]) -> None:
    parts = [{"path": p.path, "variables": dict(p.variables), "unset": p.unset} for p in plans]
    data = durable.dump_json(parts)
    if durable.read(_active(job)) != data:
        durable.replace(_active(job), data)


# --- the set-up command ------------------------------------------------------------------


def _set_up(job: layout.Job, request: Request, steps: Steps, env: Mapping[str, str]) -> str:
    """Run it: always, or where `setup_key` names files, when they, the command or the
    environment have changed. A note."""
    where = f"{job.environment}/{_SETUP}"
    key = _setup_key(job.sandbox, request).encode("utf-8", "surrogateescape")
    if request.setup_key and durable.read(f"{where}/key") == key:
        built.put_back(where, job.sandbox)
        return "unchanged"
    _forget_setup(job)
    before = built.look(job.sandbox) if request.setup_key else {}
    cwd = posixpath.join(job.sandbox, request.dir) if request.dir else job.sandbox
    steps.run(variables.shell_argv(request.setup, env), cwd, env)
    if request.setup_key:
        durable.make_dirs(where)
        built.save(where, job.sandbox, before, request.keep)
        durable.replace(f"{where}/key", key)
    return ""


def _setup_key(sandbox: str, request: Request) -> str:
    """The command, and names and digests of the files on which it depends."""
    top = os.fsencode(sandbox)
    files: set[bytes] = set()
    for rel in globs.find(top, request.setup_key):
        files.update(built.files(top, rel) if trees.is_dir(top + b"/" + rel) else (rel,))
    parts = [
        (os.fsdecode(rel), sha256(durable.read(os.fsdecode(top + b"/" + rel)) or b"").hexdigest())
        for rel in sorted(files)
        if trees.is_file(top + b"/" + rel)
    ]
    return key_text(("command", request.setup), ("dir", request.dir), *parts)


def _forget_setup(job: layout.Job) -> None:
    trees.remove_tree(f"{job.environment}/{_SETUP}")
