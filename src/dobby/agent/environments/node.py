"""node_modules, by the package manager whose lock file is there: npm, pnpm or yarn."""

from __future__ import annotations

import json
import posixpath

from dobby.core import semver
from dobby.core.plan import LOCKED, NOT_DECLARED, Layer, Plan, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dobby.core.plan import Tools, Tree

FAMILY = "node"
NEEDS = ("node", "npm|pnpm|yarn")
HINTS: tuple[tuple[str, str], ...] = ()

_LOCKS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
)
_PACKAGE = "package.json"
# Beside the lock file, what steers an installer; .pnp.cjs is what yarn may make instead of node_modules.
_STEERING = (
    *(".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml"),
    *(".nvmrc", ".node-version", ".tool-versions"),
)
_QUIET = (
    ("CI", "true"),  # nobody is there to be asked
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("npm_config_update_notifier", "false"),
    ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
    ("YARN_ENABLE_TELEMETRY", "0"),
    ("DISABLE_OPENCOLLECTIVE", "1"),
)
# What an install runs of the project's own, in this order (npm's documentation, "Life Cycle Scripts").
_OWN = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_CHECK = """
const [spans, said] = process.argv.slice(1), have = process.versions.node.split(".").map(Number);
const order = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
const fits = ([low, high]) => order(have, low) >= 0 && (!high || order(have, high) < 0);
if (!JSON.parse(spans).some(fits)) {
  console.error(`node on the host is ${process.version}, and ${said}: install that there, or name its ` +
    "directory in `path` of the host's settings");
  process.exit(1);
}
"""


def detect(tree: Tree) -> int:
    return LOCKED if _lock(tree)[0] and tree.read(_PACKAGE) is not None else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    lock, manager = _lock(tree)
    if not detect(tree):
        raise PlanError(
            f"node finds nothing to install in {tree.dir or 'the top directory'}: no package.json "
            "with a package-lock.json, pnpm-lock.yaml or yarn.lock"
        )
    for program in ("node", manager):
        if program not in tools.found:
            raise PlanError(
                f"{lock} needs {program}, and the host has none in PATH: install it there, or name "
                "its directory in `path` of the host's settings"
            )
    packages = dict(_packages(tree))
    scripts = _scripts(packages[_PACKAGE])
    layers = [_dependencies(tree, tools, lock, manager, packages)]
    if scripts:
        layers.append(
            Layer(
                name="project",
                key=key_text(("snapshot", tree.snapshot)),
                steps=tuple((tools.found[manager], "run", name) for name in scripts),
                cwd=tree.path,
                variables=_QUIET,
                fresh=False,
            )
        )
    below = posixpath.join(tree.dir, "") if tree.dir else ""
    many = len(packages) > 1
    return Plan(
        layers=tuple(layers),
        path=(f"{tree.path}/node_modules/.bin",),
        lodged=(
            f"{below}**/node_modules" if many else f"{below}node_modules",
            f"{below}.yarn/cache",
            f"{below}.yarn/unplugged",
        ),
    )


def _lock(tree: Tree) -> tuple[str, str]:
    """The lock file and whose it is."""
    return next(((name, whose) for name, whose in _LOCKS if tree.read(name) is not None), ("", ""))


def _dependencies(tree: Tree, tools: Tools, lock: str, manager: str, packages: dict[str, str]) -> Layer:
    program = tools.found[manager]
    text = tree.read(lock) or ""
    if manager == "npm":
        install: tuple[str, ...] = (program, "ci")
    elif manager == "pnpm":
        install = (program, "install", "--frozen-lockfile")
    else:
        berry = "__metadata:" in text
        install = (program, "install", "--immutable" if berry else "--frozen-lockfile")
    steering = [(name, tree.read(name) or "") for name in _STEERING]
    patches = [(f"patches/{name}", tree.read(f"patches/{name}") or "") for name in tree.names("patches")]
    # Copies of the checkout, and what its other packages build as they are installed, go with the commit.
    copies = manager != "npm" and any('"file:' in package for package in packages.values())
    builds = any(_scripts(package) for path, package in packages.items() if path != _PACKAGE)
    return Layer(
        name="dependencies",
        key=key_text(
            ("node", tools.identity),
            (lock, text),
            *packages.items(),
            *steering,
            *patches,
            ("snapshot", tree.snapshot if copies or builds else ""),
        ),
        steps=(*_check(tree, tools, packages[_PACKAGE]), install),
        cwd=tree.path,
        variables=_QUIET,
        # npm ci begins with nothing; the others move what differs.
        fresh=manager == "npm",
    )


def _check(tree: Tree, tools: Tools, package: str) -> list[tuple[str, ...]]:
    """A step that fails where node is not of the version that the project asks for."""
    engines = _object(_object(_json(package)).get("engines")).get("node")
    wanted = [(name, (tree.read(name) or "").strip()) for name in (".nvmrc", ".node-version")]
    steps: list[tuple[str, ...]] = []
    for name, text in (*wanted, (f"engines in {_PACKAGE}", str(engines or ""))):
        spans = semver.spans(text) if text else None
        if spans:
            steps.append((tools.found["node"], "-e", _CHECK, json.dumps(spans), f"{name} asks for {text}"))
    return steps


def _packages(tree: Tree) -> Iterator[tuple[str, str]]:
    """Every package.json: that of the project, and of a workspace's members."""
    top = tree.read(_PACKAGE) or ""
    yield _PACKAGE, top
    if "workspaces" not in _object(_json(top)) and tree.read("pnpm-workspace.yaml") is None:
        return
    rest = [name for name in tree.names() if name.endswith("/")]
    while rest:
        dir = rest.pop()
        if dir.startswith(".") or dir.endswith("/node_modules/") or dir == "node_modules/":
            continue
        names = tree.names(dir)
        if _PACKAGE in names:
            yield dir + _PACKAGE, tree.read(dir + _PACKAGE) or ""
        rest += [dir + name for name in names if name.endswith("/")]


def _scripts(package: str) -> list[str]:
    """Those that run at an install. A pre- or post-script comes with `run` of its own one."""
    scripts = _object(_object(_json(package)).get("scripts"))
    named = [name for name in _OWN if name in scripts]
    return [n for n in named if not any(n in (f"pre{other}", f"post{other}") for other in named)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise PlanError(f"{_PACKAGE} cannot be read: {error}") from None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
