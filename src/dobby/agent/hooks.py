"""What a plan's hook puts into the environment: asked once, after the build.

The hook prints shell text, as `conda shell.posix activate` does: bash evaluates it, scripts of
the environment's own (activate.d) included, and what has changed is recorded in KIND/hook.json.
"""

from __future__ import annotations

from dobby.agent import durable, variables
from dobby.agent.steps import StepFailed
from dobby.core import json
from dobby.core.digest import sha256
from dobby.core.plan import key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dobby.agent.steps import Steps
    from dobby.core.plan import Plan

# What scripts print goes to the log: stdout is the answer.
_EVALUATE = 'said=$("$@") || exit; eval "$said" >&2; exec env -0'
_PROMPT = ("PS1",)


def activated(plan: Plan, where: str, steps: Steps, env: Mapping[str, str]) -> Plan:
    """The plan, with what its hook does to `env` as its own path, variables and names to unset.

    The answer of an earlier run counts while the layers are the same, and those variables that
    the hook changed were the same before. Raises StepFailed, OSError."""
    if not plan.hook:
        return plan
    memo = f"{where}/hook.json"
    key = _key(plan)
    told = json.loads(durable.read(memo) or b"null")
    if not told or told["key"] != key or any(env.get(n) != v for n, v in told["before"].items()):
        told = {"key": key, **difference(env, _after(plan, steps, env))}
        durable.replace(memo, durable.dump_json(told))
    active: Plan = plan.replace(
        path=(*plan.path, *told["path"]),
        variables=(*plan.variables, *told["variables"].items()),
        unset=(*plan.unset, *told["unset"]),
    )
    return active


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    """`path` in front of PATH, `variables` that are new or other, names in `unset`, and the values
    that these had `before`. A PATH that did not merely grow in front is a variable like others."""
    old, new = before.get("PATH", ""), after.get("PATH", "")
    front = new[: -len(old) - 1] if old and new.endswith(f":{old}") else ""
    same = front or new == old
    ours = {n: v for n, v in after.items() if n not in _PROMPT and not (same and n == "PATH")}
    changed = {name: value for name, value in ours.items() if before.get(name) != value}
    unset = sorted(name for name in before if name not in after and name not in variables.OF_A_SHELL)
    return {
        "path": front.split(":") if front else [],
        "variables": changed,
        "unset": unset,
        "before": {name: before.get(name) for name in (*changed, *unset)},
    }


def _after(plan: Plan, steps: Steps, env: Mapping[str, str]) -> dict[str, str]:
    bash = variables.find("bash", env) or "/bin/sh"
    try:
        out = steps.capture((bash, "-c", _EVALUATE, "bash", *plan.hook), plan.layers[-1].cwd, env)
    except StepFailed as failed:
        raise steps.fail(failed.tail, " ".join(plan.hook), failed.code) from None
    return variables.parse(out)


def _key(plan: Plan) -> str:
    """Hex: the hook, and all that its environment was built from."""
    keys = key_text(("hook", "\0".join(plan.hook)), *((layer.name, layer.key) for layer in plan.layers))
    return sha256(keys.encode("utf-8", "surrogateescape")).hexdigest()
