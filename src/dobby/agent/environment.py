"""A job's environment: chosen, built where its recipe has changed, and made active.

<job>/environment/KIND/   one directory a kind: venv/, a key for each layer (layers.py),
                          and what the build wrote into the checkout (built.py)
<job>/environment/setup/  the key of the set-up command, where it has one
<job>/environment/active.json   what the last preparation put into the command's environment
<job>/environment/plans.json    what it was prepared by (recalled.py)
"""

from __future__ import annotations

import os
import posixpath

from dobby.agent import (
    built,
    choosing,
    containers,
    durable,
    globs,
    hooks,
    layers,
    lodged,
    recalled,
    survey,
    tools,
    trees,
    variables,
)
from dobby.agent.steps import StepFailed
from dobby.core import container, json
from dobby.core.digest import sha256
from dobby.core.plan import PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dobby.agent.steps import Steps
    from dobby.core import layout
    from dobby.core.interpreter import Wish
    from dobby.core.plan import Kind, Plan, Tools, Tree
    from dobby.core.request import Request

_NOTHING = durable.dump_json([])  # no file says the same
_SETUP = "setup"


def prepare(
    run: layout.Run,
    request: Request,
    steps: Steps,
    settings: Mapping[str, str],
    values: Mapping[str, str],
) -> dict[str, str]:
    """Environment and set-up command, each a phase. The variables for the command are `steps.env`
    with the environment active; `settings` are those that the host's settings give to both.
    `values` are forwarded ones: the set-up command alone sees them, and no file does.
    Raises StepFailed."""
    steps.begin("environment")
    try:
        plans, notes, changed = _prepare(run, request, steps)
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
            plain = {**env, **dict(request.variables)}
            steps.done(_set_up(run, request, steps, plain, settings, values))
        except StepFailed as failed:
            raise _masked(failed, values) from None
        except OSError as error:
            raise steps.fail(f"the set-up could not be recorded: {error}") from None
    return env


def _masked(failed: StepFailed, values: Mapping[str, str]) -> StepFailed:
    """What the command said goes into the final state and into notices."""
    from dobby.core import excerpt

    command, tail = (excerpt.mask_text(text, values.values()) for text in (failed.command, failed.tail))
    return StepFailed(failed.step, command, failed.code, tail)


def activated(job: layout.Job, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the job's environment active, as the last preparation left it."""
    data = durable.read(_active(job))
    for part in json.loads(data) if data else ():
        env = _with(env, part["path"], part["variables"], part["unset"])
    return dict(env)


def _with(
    env: Mapping[str, str], path: Sequence[str], values: Mapping[str, str], unset: Sequence[str]
) -> dict[str, str]:
    new = {name: value for name, value in env.items() if name not in unset}
    new.update(values)
    new["PATH"] = ":".join([*path, new.get("PATH", "")])
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


def _prepare(run: layout.Run, request: Request, steps: Steps) -> tuple[list[Plan], list[str], bool]:
    """The plans, now carried out; a note for each; whether anything was built. Each is built with
    those before it active."""
    job = run.job
    durable.make_dirs(job.environment)
    plans, notes, changed, made = [], [], False, []
    env: Mapping[str, str] = steps.env
    trees = choosing.trees(job, request)
    known = recalled.find(job, request, trees, env, choosing.load)
    chosen, left_out = known or choosing.choose(request, trees, env)
    for said in left_out:
        steps.say(said)
    for name, kind, tree in chosen:
        where = f"{job.environment}/{name}"
        memo = f"{job.environment}/interpreter"
        wanted = _wanted(name, kind, tree)
        got = _installers(kind, job.home, env, steps)
        found = survey.tools(kind.NEEDS, env, tree, where, memo, wanted, got)
        if kind.FAMILY == container.KIND:
            found = _with_engine(run, request, found, env)
        plan = kind.plan(tree, found)
        made.append((kind, recalled.Made(name=name, dir=tree.dir, wanted=wanted, tools=found, plan=plan)))
        done = layers.bring_up(kind, plan, where, job.sandbox, request.keep, steps, env)
        plan = hooks.activated(plan, where, steps, env)
        plan = plan.replace(path=(*plan.path, *map(tools.lead_to, got.values())))
        plans.append(plan)
        notes.append(_note(name, plan, done, where))
        changed = changed or bool(done)
        env = _with(env, plan.path, dict(plan.variables), plan.unset)
    if not (known and all(isinstance(kind, recalled.Recalled) and kind.holds for kind, _ in made)):
        recalled.keep(job, request, trees, steps.env, choosing.programs(request), made, left_out)
    return plans, notes, changed


def _wanted(name: str, kind: Kind, tree: Tree) -> tuple[Wish, ...]:
    """What a Python must be fit for."""
    if isinstance(kind, recalled.Recalled):
        return kind.wanted
    if "python3" not in kind.NEEDS:
        return ()
    from dobby.core import interpreter

    return interpreter.wishes(tree, name)


def _with_engine(run: layout.Run, request: Request, found: Tools, env: Mapping[str, str]) -> Tools:
    engine = containers.find_engine(env, f"{run.job.environment}/engine")
    if engine is not None:
        containers.announce(run, engine)
    argument = container.split(request.environment[0])[1]
    with_engine: Tools = found.replace(engine=engine, argument=argument, run_id=run.run_id)
    return with_engine


def _installers(kind: Kind, home: str, env: Mapping[str, str], steps: Steps) -> dict[str, str]:
    """The kind's programs that the host lacks and dobby can get: name to absolute path."""
    lacking = [n for n in kind.NEEDS if n in tools.FROM_INDEX and not variables.find(n, env)]
    return {name: tools.provide(name, home, env, steps) for name in lacking}


def _note(name: str, plan: Plan, done: Sequence[str], where: str) -> str:
    if not plan.layers:
        return name
    if not done:
        return f"{name}: unchanged"
    count = _count_packages(f"{where}/venv/lib")
    told = f", {count} package{'' if count == 1 else 's'}" if count else ""
    return f"{name}: {' and '.join(done)} built{told}"


def _count_packages(lib: str) -> int:
    """How many distributions a venv holds; 0 where there is no venv."""
    pythons = os.listdir(lib) if os.path.isdir(lib) else ()
    places = [f"{lib}/{python}/site-packages" for python in pythons]
    return sum(name.endswith(".dist-info") for place in places for name in os.listdir(place))


def _active(job: layout.Job) -> str:
    return f"{job.environment}/active.json"


def _record(job: layout.Job, plans: Sequence[Plan]) -> None:
    telling = [p for p in plans if p.path or p.variables or p.unset]
    parts = [{"path": p.path, "variables": dict(p.variables), "unset": p.unset} for p in telling]
    data = durable.dump_json(parts)
    if (durable.read(_active(job)) or _NOTHING) != data:
        durable.replace(_active(job), data)
    where, built_image = (plans[-1].container, plans[-1].built_image) if plans else (None, "")
    containers.record(job, where, built_image)


# --- the set-up command ------------------------------------------------------------------


def _set_up(
    run: layout.Run,
    request: Request,
    steps: Steps,
    env: Mapping[str, str],
    settings: Mapping[str, str],
    values: Mapping[str, str],
) -> str:
    """Run it: always, or where `setup_key` names files, when they, the command or the
    environment have changed. A note."""
    job = run.job
    where = f"{job.environment}/{_SETUP}"
    key = _setup_key(job.sandbox, request).encode("utf-8", "surrogateescape")
    if request.setup_key and durable.read(f"{where}/key") == key:
        built.put_back(where, job.sandbox)
        return "unchanged"
    _forget_setup(job)
    ours = lodged.paths(job)
    before = built.look(job.sandbox, ours) if request.setup_key else {}
    cwd = posixpath.join(job.sandbox, request.dir) if request.dir else job.sandbox
    inside = containers.of_job(job)
    if inside is None:
        steps.run(variables.shell_argv(request.setup, env), cwd, {**env, **values}, users=True)
    else:
        argv, env = containers.in_container(
            inside, run, request, request.setup, steps.env, values, settings
        )
        steps.run(argv, cwd, env, shown=request.setup)
    if request.setup_key:
        durable.make_dirs(where)
        built.save(where, job.sandbox, before, request.keep, ours)
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
