"""Containers on this host: which engine works, what a command in one is started by, and that no
container outlives its run. What is said to an engine stands in core/container.py.

The engine's process is the wrapper's child, as any command; what it starts is found by descent and by
the run's id in the environment (members.py). Only the engine's own record of a container may stay
behind: `remove` sees to that.
"""

from __future__ import annotations

import os
import time

from dobby.agent import durable, spawn, variables
from dobby.core import container, json
from dobby.core.plan import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Optional

    from dobby.core import layout
    from dobby.core.container import Container, Engine
    from dobby.core.request import Request

TRIES = 3  # podman that finds its own helper killed fails once, and has cleaned up then
_PAUSE_S = 0.3
ANSWERS_S = 20.0  # one whose daemon hangs would keep waiting whoever asks: a run, a stop, a listing
_REMOVES_S = 300.0  # an image may be large
_SILENT = 1000  # no exit code
_STEERING = ("CONTAINER", "DOCKER_", "PODMAN_", "STORAGE_", "XDG_", "HOME")
_FROM_HOST = ("TZ", "USER", "LOGNAME")


# --- before the command --------------------------------------------------------------------


def find_engine(env: Mapping[str, str], memo: str) -> Optional[Engine]:
    """The first engine that works, None where there is none. `memo` is a file for its answer:
    while programs and variables are the same, no process is started. Raises PlanError when
    there is one, and it does not work."""
    programs = [(name, variables.find(name, env)) for name in container.PROGRAMS]
    programs = [(name, path) for name, path in programs if path]
    steering = sorted((k, v) for k, v in env.items() if k.startswith(_STEERING))
    stamps = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for _, path in programs]
    asked = repr((stamps, steering, os.getuid(), os.getgid()))
    known = json.loads(durable.read(memo) or b"{}")
    if programs and known.get("asked") == asked:
        path, name, told = known["answer"]
        return container.parse_engine(path, name, told, os.getuid(), os.getgid())
    failures = []
    for name, path in programs:
        code, out, said = _ask(container.question(path, name), env)
        if not code:
            told = out.decode("utf-8", "replace")
            durable.replace(memo, durable.dump_json({"asked": asked, "answer": (path, name, told)}))
            return container.parse_engine(path, name, told, os.getuid(), os.getgid())
        lines = said.decode("utf-8", "replace").strip().splitlines()
        failures.append(f"{name} does not work on this host: {lines[-1] if lines else f'exit {code}'}")
    if failures:
        raise PlanError("; ".join(failures))
    return None


def _ask(argv: Sequence[str], env: Mapping[str, str], most_s: float = 0.0) -> tuple[int, bytes, bytes]:
    """What the engine answers within `most_s`, else ANSWERS_S; that it does not is an answer too."""
    most_s = most_s or ANSWERS_S
    try:
        return spawn.capture(argv, cwd="/", env=env, most_s=most_s)
    except TimeoutError:
        return _SILENT, b"", b"no answer within %g s" % most_s


def of_job(job: layout.Job) -> Optional[Container]:
    """The container in which the job's commands run, as its last preparation left it."""
    data = durable.read(_active(job))
    return container.load(json.loads(data)["container"]) if data else None


def record(job: layout.Job, where: Optional[Container], built_image: str) -> None:
    """Keep for `of_job` and `forget` what the preparation has made."""
    if where is not None:
        content = {"container": container.dump(where), "built_image": built_image}
        durable.replace(_active(job), durable.dump_json(content))
    elif os.path.exists(_active(job)):
        os.unlink(_active(job))


def _active(job: layout.Job) -> str:
    return f"{job.environment}/container.json"


def announce(run: layout.Run, engine: Engine) -> None:
    """Before the first container of a run: where to look for it, whoever ends the run."""
    content = {"program": engine.program, "runtime_dir": os.environ.get("XDG_RUNTIME_DIR")}
    durable.replace(run.container, durable.dump_json(content))


def in_container(
    where: Container, run: layout.Run, request: Request, command: str, host: Mapping[str, str],
    values: Mapping[str, str], settings: Mapping[str, str],
) -> tuple[tuple[str, ...], dict[str, str]]:  # fmt: skip
    """argv and environment of the engine that runs `command` in the container."""
    inside = _inside(where, run, request, host, values, settings)
    place = _place(where, run, request, tuple(inside), container.name_of(run.run_id))
    bounds = container.bounds(request.memory_bytes, request.cpus)
    return container.run_argv(where, place, command, bounds), {**host, **container.variables(inside)}


def shell(
    where: Container,
    run: layout.Run,
    request: Request,
    host: Mapping[str, str],
    settings: Mapping[str, str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """argv and environment for an interactive shell: a container of its own, no part of the run."""
    inside = _inside(where, run, request, host, {}, settings)
    del inside["DOBBY_RUN_ID"]
    place = _place(where, run, request, tuple(inside), f"dobby-shell-{os.urandom(6).hex()}")
    return container.shell_argv(where, place.replace(run="shell")), {**host, **container.variables(inside)}


def _inside(
    where: Container, run: layout.Run, request: Request, host: Mapping[str, str],
    values: Mapping[str, str], settings: Mapping[str, str],
) -> dict[str, str]:  # fmt: skip
    """The command's variables: of the host's only those that mean the same in another system."""
    kept = {name: host[name] for name in _FROM_HOST if name in host}
    return variables.of_command(
        {**kept, "LANG": "C.UTF-8", "HOME": where.home, **settings}, request, run, values
    )


def _place(
    where: Container, run: layout.Run, request: Request, names: tuple[str, ...], name: str
) -> container.Place:
    job = run.job
    for path in (where.home, run.outputs):
        durable.make_dirs(path)
    borrowed = (job.of_project.cache, os.path.dirname(job.of_project.module_cache("any")))
    place = container.Place(
        name=name,
        run=run.root,
        cwd=f"{job.sandbox}/{request.dir}" if request.dir else job.sandbox,
        writable=(job.sandbox, run.outputs),
        readable=tuple(path for path in borrowed if os.path.isdir(path)),
        names=names,
    )
    if ":" in run.root:
        raise OSError(f"no container can be given {run.root}: the path has a colon")
    return place


# --- after it ------------------------------------------------------------------------------


def remove(run: layout.Run, force: bool) -> None:
    """Make sure that the engine knows no container of the run any more: one that was killed, and now and
    then a busy rootless podman, leaves a record in spite of `--rm`. With `force` also a living one.
    While an engine does not answer, the note stays: whoever looks next tries again."""
    data = durable.read(run.container)
    if data is None:
        return
    note = json.loads(data)
    env = _engine_env(run.home, note["runtime_dir"])
    program, name = note["program"], container.name_of(run.run_id)
    label = '{{index .Config.Labels "' + container.LABEL + '"}}'
    for _ in range(TRIES):
        look = (program, "container", "inspect", "--format", label, name)
        code, out, said = _ask(look, env)
        if code == _SILENT:
            return
        gone = code and b"no such container" in said.lower()
        if gone or (not code and os.fsdecode(out).strip() not in (run.root, "<no value>", "")):
            os.unlink(run.container)
            return
        if not code:
            _ask((program, "rm", *(("--force",) if force else ()), name), env)


def forget(job: layout.Job) -> None:
    """Remove the image that was built for the job. The caller holds the label's lock."""
    data = durable.read(_active(job))
    content = json.loads(data) if data else {}
    if content.get("built_image"):
        where = container.load(content["container"])
        env = _engine_env(job.home, os.environ.get("XDG_RUNTIME_DIR"))
        look = container.has_image(where.engine, content["built_image"])
        code, out, _ = _ask(look, env)
        rmi = (where.engine.program, "rmi", os.fsdecode(out).strip())
        for _ in range(0 if code else TRIES):  # its last container may just be on its way out
            if _ask(rmi, env, _REMOVES_S)[0] in (0, _SILENT):
                break
            time.sleep(_PAUSE_S)


def _engine_env(home: str, runtime_dir: Optional[str]) -> dict[str, str]:
    """As a run's own: the engine must look where it looked then."""
    from dobby.agent import admission

    env = variables.of_host(admission.read_settings(home), os.environ)
    if runtime_dir is not None:
        env["XDG_RUNTIME_DIR"] = runtime_dir
    return env
