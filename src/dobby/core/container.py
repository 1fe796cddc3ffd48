"""A command in a container: the engine's words, as values. Pure; agent/containers.py acts.

Sources: podman-run(1), podman-build(1), and Docker's reference of `docker run`. Only options that
both engines have are used, but where a line says which one it is for.
"""

from __future__ import annotations

from dobby.core.digest import sha256
from dobby.core.errors import UsageError
from dobby.core.lazy import regex
from dobby.core.names import shown
from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Optional

KIND = "container"
FILES = ("Containerfile", "Dockerfile")
PROGRAMS = ("podman", "docker")
LABEL = "dobby.run"  # on a container: the run's directory, whole
_IMAGE = regex(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
SIGNALS = range(128 + 1, 128 + 65)
_FROM_CONTEXT = regex(r"(?im)^\s*(COPY|ADD)\s(?!\s*--from=)|^\s*RUN\s.*--mount=")
_PASSTHROUGH_SINCE = 4  # podman 4.0: --log-driver passthrough

# A variable of the user's travels to the container under this name: PATH or XDG_RUNTIME_DIR as such
# would steer the engine.
SET = "DOBBY_SET_"
NAMES = "DOBBY_NAMES"

# Process 1 of a container is deaf to signals for which it has no action (pid_namespaces(7)): this one
# stays, and the command is its child, with all actions as usual. A shell says "Killed" of its child:
# not in the job's log.
_ADOPT = f"""trap : HUP INT QUIT TERM
for dobby_name in ${NAMES}; do
eval "export $dobby_name=\\"\\${SET}$dobby_name\\""
unset "{SET}$dobby_name"
done
unset dobby_name {NAMES}
"""
_COMMAND = (
    _ADOPT
    + """exec 3>&2 2>/dev/null
if command -v bash >/dev/null; then (exec bash -c "$1" 2>&3 3>&-); else (exec sh -c "$1" 2>&3 3>&-); fi
exit $?
"""
)
_SHELL = _ADOPT + "trap - HUP INT QUIT TERM\nif command -v bash >/dev/null; then exec bash; fi\nexec sh\n"


class Engine(Record):
    """What runs containers on this host: `program` (absolute path) is podman or docker by `name`.
    `user` are the options by which a command keeps the account's ids, `log` those by which its
    output goes to the run's log and nowhere else."""

    program: str
    name: str
    user: tuple[str, ...]
    log: tuple[str, ...]


class Container(Record):
    """Where a job's commands run: `home` is HOME there, a directory of the job's own."""

    engine: Engine
    image: str
    home: str


class Place(Record):
    """What of one run a container sees, all of it at its own path. `run` is the run's directory,
    `writable` and `readable` are directories to mount, `names` the variables to set."""

    name: str
    run: str
    cwd: str
    writable: tuple[str, ...]
    readable: tuple[str, ...]
    names: tuple[str, ...]


def split(environment: str) -> tuple[str, str]:
    """Kind and argument of an environment's name: ("container", "python:3.12")."""
    kind, _, argument = environment.partition(":")
    return kind, argument


def check(environments: Iterable[str]) -> None:
    """Raises UsageError: for a word after ":" that is no image, or that this kind does not take, and
    for a container beside another environment."""
    names = list(environments)
    for name in names:
        kind, argument = split(name)
        if ":" in name and kind != KIND:
            raise UsageError(f"environment {shown(kind)} takes nothing after a colon", "name it alone")
        if ":" in name and not _IMAGE.match(argument):
            raise UsageError(
                f"{shown(argument)} is no name of an image",
                "give one such as container:docker.io/python:3.12",
            )
    if len(names) > 1 and any(split(name)[0] == KIND for name in names):
        raise UsageError(
            f"environment {', '.join(names)}: a container stands alone",
            "what the command needs beside it belongs into the image",
        )


def parse_engine(program: str, name: str, told: str, uid: int, gid: int) -> Engine:
    """The engine that answered `told` to its question (`question`), for the account's ids."""
    version, _, facts = told.strip().partition(" ")
    user = f"{uid}:{gid}"
    log = "none"
    if name == "podman":
        major = version.partition(".")[0]
        if major.isdigit() and int(major) >= _PASSTHROUGH_SINCE:
            log = "passthrough"
        keep = ("--userns", "keep-id") if facts == "true" and uid else ()
    else:
        # The user of a rootless docker is root within.
        keep, user = (), "0:0" if "name=rootless" in facts else user
    return Engine(program=program, name=name, user=(*keep, "--user", user), log=("--log-driver", log))


def question(program: str, name: str) -> tuple[str, ...]:
    """An argv that fails where the engine does not work, and answers its version and more."""
    if name == "podman":
        return (program, "info", "--format", "{{.Version.Version}} {{.Host.Security.Rootless}}")
    return (program, "info", "--format", "{{.ServerVersion}} {{.SecurityOptions}}")


def has_image(engine: Engine, image: str) -> tuple[str, ...]:
    """Exit 0 where the host has the image."""
    return (engine.program, "image", "inspect", "--format", "{{.Id}}", image)


def proof(engine: Engine, image: str, name: str) -> tuple[str, ...]:
    """Fetch an image where it is absent, and prove that a command can run in it."""
    return (
        *(engine.program, "run", "--rm", "--name", name, "--pull", "missing", *engine.user),
        *("--entrypoint", "sh", image, "-c", ":"),
    )


def build(engine: Engine, tag: str, file: str, context: str) -> tuple[str, ...]:
    return (engine.program, "build", "--tag", tag, "--file", f"{context}/{file}", context)


def takes_files(text: str) -> bool:
    """Whether a Containerfile takes anything from the checkout; what it takes from another stage
    or image does not count."""
    return bool(_FROM_CONTEXT.search(text))


def tag_of(where: str) -> str:
    """The name of the image that is built for the job whose environment is at `where`. Labels hold
    what no image may be called, and two dobby homes may share an engine."""
    return f"localhost/dobby-{sha256(where.encode('utf-8', 'surrogateescape')).hexdigest()[:20]}"


def name_of(run_id: str) -> str:
    return f"dobby-{run_id}"


def bounds(memory_bytes: Optional[int], cpus: Optional[float]) -> tuple[str, ...]:
    """An engine's options for what a run may use; swap is none of it."""
    memory = () if memory_bytes is None else (f"--memory={memory_bytes}", f"--memory-swap={memory_bytes}")
    return memory if cpus is None else (*memory, f"--cpus={cpus:g}")


def run_argv(
    container: Container, place: Place, command: str, bounds: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Run `command` in the image; its output is the engine's own, its exit code too."""
    how = ("--name", place.name, *container.engine.log, *bounds)
    return (*_run(container, place, how), "-c", _COMMAND, "sh", command)


def shell_argv(container: Container, place: Place) -> tuple[str, ...]:
    """An interactive shell, on the terminal of the caller."""
    how = ("--name", place.name, "--interactive", "--tty", "--env", "TERM")
    return (*_run(container, place, how), "-c", _SHELL)


def _run(container: Container, place: Place, how: tuple[str, ...]) -> tuple[str, ...]:
    mounts = [f"{path}:{path}" for path in (*place.writable, container.home)]
    mounts += [f"{path}:{path}:ro" for path in place.readable]
    return (
        *(container.engine.program, "run", "--rm", "--pull", "never", "--sig-proxy=false", *how),
        *("--label", f"{LABEL}={place.run}", *container.engine.user),
        # Without it, SELinux denies what is mounted, or would relabel the user's own files.
        *("--security-opt", "label=disable"),
        *(word for mount in mounts for word in ("--volume", mount)),
        *("--workdir", place.cwd),
        *(word for name in _travelling(place.names) for word in ("--env", name)),
        *("--entrypoint", "sh", container.image),
    )


def _travelling(names: Iterable[str]) -> list[str]:
    own = [name for name in names if name.startswith("DOBBY_")]
    return [*own, NAMES, *(SET + name for name in names if name not in own)]


def variables(inside: dict[str, str]) -> dict[str, str]:
    """What the engine's environment must hold so that the command's is `inside`. Our own names, by
    which `stop` finds the processes, are there from the first one on."""
    own = {name: value for name, value in inside.items() if name.startswith("DOBBY_")}
    others = {name: value for name, value in inside.items() if name not in own}
    return {**own, NAMES: " ".join(others), **{SET + name: value for name, value in others.items()}}


def is_signal(code: int) -> bool:
    """Whether an engine's exit code says that a signal ended the command. A command that itself
    exits with 128+N looks the same."""
    return code in SIGNALS


def dump(container: Container) -> dict[str, Any]:
    return {**container.to_dict(), "engine": container.engine.to_dict()}


def load(plain: dict[str, Any]) -> Container:
    engine = dict(plain["engine"])
    engine.update(user=tuple(engine["user"]), log=tuple(engine["log"]))
    return Container(engine=Engine(**engine), image=plain["image"], home=plain["home"])
