"""Builds the layers of an environment whose recipe has changed, and only those.

A layer's key is written once its steps have succeeded, and removed before they begin: what a
failed or killed build left is never taken for a layer.
"""

from __future__ import annotations

import os

from dobby.agent import built, durable, lodged, trees
from dobby.agent.steps import StepFailed
from dobby.core import failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dobby.agent.steps import Steps
    from dobby.core.plan import Kind, Layer, Plan


def bring_up(
    kind: Kind,
    plan: Plan,
    where: str,
    sandbox: str,
    kept: Iterable[str],
    steps: Steps,
    env: Mapping[str, str],
) -> tuple[str, ...]:
    """Make what `where` holds agree with the plan; the names of the layers that were built.

    What a build wrote into the sandbox is put back when nothing is built: a rerun finds the
    checkout without it. `kept` are globs of what stays there anyway;
    `env` is what the steps get. Raises StepFailed, OSError."""
    have = {layer.name: _read_key(where, layer) for layer in plan.layers}
    whole = all(map(os.path.exists, plan.proof)) and lodged.place(where, sandbox)
    first = _first_changed(plan, have) if whole else 0
    if first == len(plan.layers) and not _answered(plan, steps, env):
        first = 0
    if first == len(plan.layers):
        built.put_back(where, sandbox)
        return ()
    durable.make_dirs(where)
    built.forget(where)
    for layer in plan.layers[first:]:
        _remove_key(where, layer)
    # Only what was whole can be brought up to date by its own tool.
    emptied = first == 0 and (plan.layers[0].fresh or not whole or have[plan.layers[0].name] is None)
    if emptied:
        lodged.remove(where, sandbox)
        trees.remove_tree(where)
        durable.make_dirs(where)
    _forget_bytecode(where)
    foreign = lodged.find(sandbox, plan.lodged) - lodged.listed(where)
    before = built.look(sandbox, lodged.listed(where))
    for layer in plan.layers[first:]:
        try:
            for step in (*layer.steps, *(() if emptied or have[layer.name] is None else layer.tidy)):
                _run(kind, step, layer, steps, env)
        finally:  # also of a failed build: it is nothing that the run has left
            lodged.record(where, lodged.find(sandbox, plan.lodged) - foreign)
        durable.replace(_key_path(where, layer), _encode(layer.key))
    built.save(where, sandbox, before, kept, lodged.listed(where))
    return tuple(layer.name for layer in plan.layers[first:])


def _first_changed(plan: Plan, have: Mapping[str, str | None]) -> int:
    """The index of the first layer to build; their number when all is as it should be."""
    for index, layer in enumerate(plan.layers):
        if have[layer.name] != layer.key:
            return index
    return len(plan.layers)


def _answered(plan: Plan, steps: Steps, env: Mapping[str, str]) -> bool:
    """Whether what a file cannot prove is still there: an image, in its engine's store."""
    for argv in plan.answers:
        try:
            steps.capture(argv, "/", env)
        except StepFailed:
            return False
    return True


def _run(kind: Kind, step: tuple[str, ...], layer: Layer, steps: Steps, env: Mapping[str, str]) -> None:
    try:
        steps.run(step, layer.cwd, {**env, **dict(layer.variables)})
    except StepFailed as failed:
        for said, mend in kind.HINTS:
            if said in failed.tail:
                raise steps.fail(
                    f"{failure.OURS}{mend}\n{failed.tail}", failed.command, failed.code
                ) from None
        raise


def _forget_bytecode(where: str) -> None:
    """Python takes bytecode for current by its module's size and date in seconds, and uv leaves
    that of top-level modules behind: one replaced within the second would run as it was."""
    lib = f"{where}/venv/lib"
    for python in os.listdir(lib) if os.path.isdir(lib) else ():
        trees.remove_tree(f"{lib}/{python}/site-packages/__pycache__")


def _key_path(where: str, layer: Layer) -> str:
    return f"{where}/{layer.name}.key"


def _read_key(where: str, layer: Layer) -> str | None:
    data = durable.read(_key_path(where, layer))
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _encode(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _remove_key(where: str, layer: Layer) -> None:
    try:
        os.unlink(_key_path(where, layer))
    except FileNotFoundError:
        return
    durable.sync_dir(where)
