"""Plans of node, conda, pixi and renv, exactly."""

from __future__ import annotations

import json

import pytest
from tests.core.plans import DictTree, tools

from dobby.agent.environments import conda, node, pixi, renv
from dobby.core.plan import LOCKED, NOT_DECLARED, PREFERRED, Layer, Plan, PlanError, Tools, key_text

PACKAGE = '{"name": "app", "dependencies": {"tiny": "1"}}'
CONDA = "name: x\ndependencies:\n- python=3.12\n- pip:\n  - six\n"
LOCKFILE = json.dumps(
    {"R": {"Version": "4.2.2", "Repositories": [{"Name": "A", "URL": "https://a.example"}]}}
)


@pytest.mark.parametrize(
    ("kind", "files", "rank"),
    [
        (node, {"package.json": PACKAGE}, NOT_DECLARED),
        (node, {"package-lock.json": "{}"}, NOT_DECLARED),
        (node, {"package.json": PACKAGE, "package-lock.json": "{}"}, LOCKED),
        (node, {"package.json": PACKAGE, "yarn.lock": ""}, LOCKED),
        (conda, {"environment.yml": CONDA}, PREFERRED),
        (conda, {"environment.yaml": CONDA}, PREFERRED),
        (conda, {}, NOT_DECLARED),
        (pixi, {"pixi.toml": ""}, PREFERRED),
        (pixi, {"pixi.toml": "", "pixi.lock": ""}, LOCKED),
        (pixi, {"pyproject.toml": "[tool.pixi.workspace]\n", "pixi.lock": ""}, LOCKED),
        (pixi, {"pyproject.toml": "[project]\n"}, NOT_DECLARED),
        (renv, {"renv.lock": LOCKFILE}, LOCKED),
        (renv, {"DESCRIPTION": ""}, NOT_DECLARED),
    ],
)
def test_what_declares_which_kind(kind: object, files: dict[str, str], rank: int) -> None:
    assert kind.detect(DictTree(files)) == rank  # type: ignore[attr-defined]


# --- node --------------------------------------------------------------------------------


def test_npm() -> None:
    files = {"web/package.json": PACKAGE, "web/package-lock.json": "{}", "web/.npmrc": "a=b"}
    steering = [(name, "a=b" if name == ".npmrc" else "") for name in node._STEERING]
    assert node.plan(DictTree(files, "web"), tools("node", "npm")) == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(
                    ("node", "id"),
                    ("package-lock.json", "{}"),
                    ("package.json", PACKAGE),
                    *steering,
                    ("snapshot", ""),
                ),
                steps=(("/bin/npm", "ci"),),
                cwd="/box/web",
                variables=node._QUIET,
                fresh=True,
            ),
        ),
        path=("/box/web/node_modules/.bin",),
        lodged=("web/node_modules", "web/.yarn/cache", "web/.yarn/unplugged"),
    )


@pytest.mark.parametrize(
    ("lock", "text", "step"),
    [
        ("pnpm-lock.yaml", "", ("/bin/pnpm", "install", "--frozen-lockfile")),
        ("yarn.lock", "# yarn lockfile v1\n", ("/bin/yarn", "install", "--frozen-lockfile")),
        ("yarn.lock", "__metadata:\n  version: 8\n", ("/bin/yarn", "install", "--immutable")),
        ("npm-shrinkwrap.json", "{}", ("/bin/npm", "ci")),
    ],
)
def test_each_lock_file_has_its_manager(lock: str, text: str, step: tuple[str, ...]) -> None:
    tree = DictTree({"package.json": PACKAGE, lock: text})
    (layer,) = node.plan(tree, tools("node", "npm", "pnpm", "yarn")).layers
    assert layer.steps == (step,)
    assert layer.fresh == (step[0] == "/bin/npm")


def _keys(files: dict[str, str], snapshot: str = "s1") -> list[str]:
    plan = node.plan(DictTree(files, snapshot=snapshot), tools("node", "npm", "pnpm"))
    return [layer.key for layer in plan.layers]


def test_a_workspace_counts_its_members_and_lodges_theirs() -> None:
    top = '{"workspaces": ["packages/*"]}'
    files = {"package.json": top, "package-lock.json": "{}", "packages/a/package.json": PACKAGE}
    assert node.plan(DictTree(files), tools("node", "npm")).lodged[0] == "**/node_modules"
    assert _keys(files) != _keys({**files, "packages/a/package.json": "{}"})
    assert _keys(files) == _keys({**files, "node_modules/b/package.json": "{}"})
    assert _keys(files) == _keys(files, "s2")
    builds = {**files, "packages/a/package.json": '{"scripts": {"prepare": "tsc"}}'}
    assert _keys(builds) != _keys(builds, "s2")


def test_the_projects_own_scripts_run_for_each_commit_in_a_layer_of_their_own() -> None:
    scripts = {"prepare": "x", "preprepare": "y", "postinstall": "z", "test": "t"}
    files = {"package.json": json.dumps({"scripts": scripts}), "package-lock.json": "{}"}
    dependencies, project = node.plan(DictTree(files), tools("node", "npm")).layers
    assert project.steps == (("/bin/npm", "run", "postinstall"), ("/bin/npm", "run", "prepare"))
    assert (project.name, project.fresh) == ("project", False)
    again = _keys(files, "s2")
    assert again[0] == dependencies.key
    assert again[1] != project.key


def test_a_copy_of_the_checkout_goes_with_the_commit() -> None:
    package = '{"dependencies": {"lib": "file:./lib"}}'
    npm = {"package.json": package, "package-lock.json": "{}"}  # npm makes a link
    assert _keys(npm) == _keys(npm, "s2")
    pnpm = {"package.json": package, "pnpm-lock.yaml": ""}
    assert _keys(pnpm) != _keys(pnpm, "s2")


def test_the_version_of_node_is_looked_at_where_one_is_asked_for() -> None:
    files = {
        "package.json": '{"engines": {"node": ">=18"}}',
        "package-lock.json": "{}",
        ".nvmrc": "lts/*\n",
    }
    (layer,) = node.plan(DictTree(files), tools("node", "npm")).layers
    assert [step[-2:] for step in layer.steps[:-1]] == [
        ("[[[18, 0, 0], null]]", "engines in package.json asks for >=18")
    ]


@pytest.mark.parametrize(
    ("found", "files", "said"),
    [
        (("node",), {"pnpm-lock.yaml": ""}, "pnpm-lock.yaml needs pnpm, and the host has none"),
        (("npm",), {"package-lock.json": ""}, "package-lock.json needs node, and the host has none"),
        (("node", "npm"), {}, "node finds nothing to install in the top directory"),
        (("node", "npm"), {"package-lock.json": "", "package.json": "{"}, "package.json cannot be read"),
    ],
)
def test_what_node_lacks_is_said(found: tuple[str, ...], files: dict[str, str], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        node.plan(DictTree({"package.json": "{}", **files}), tools(*found))


# --- conda -------------------------------------------------------------------------------

PREFIX = "/env/prefix"
CREATE = ("env", "create", "-p", PREFIX, "-f", "environment.yml")
ACTIVATE = ("shell", "activate", "-s", "bash", "-p", PREFIX)


def test_conda() -> None:
    assert conda.plan(DictTree({"environment.yml": CONDA}), tools("conda")) == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(
                    ("conda", "id"),
                    ("by", "/bin/conda"),
                    ("environment.yml", CONDA),
                    ("snapshot", ""),
                ),
                steps=(("/bin/conda", *CREATE),),
                cwd="/box",
                variables=conda._QUIET,
                fresh=True,
            ),
        ),
        unset=("PYTHONHOME", "PYTHONPATH"),
        proof=(f"{PREFIX}/conda-meta/history",),
        hook=("/bin/conda", "shell.posix", "activate", PREFIX),
    )


@pytest.mark.parametrize(
    ("found", "step", "hook"),
    [
        (
            {"conda": "/bin/conda", "mamba": "/bin/mamba", "micromamba": "/bin/micromamba"},
            ("/bin/micromamba", "create", "-y", "-p", PREFIX, "-f", "environment.yml"),
            ("/bin/micromamba", *ACTIVATE),
        ),
        (
            {"conda": "/bin/conda", "mamba": "/bin/mamba"},
            ("/bin/mamba", *CREATE),
            ("/bin/conda", "shell.posix", "activate", PREFIX),
        ),
        ({"mamba": "/bin/mamba"}, ("/bin/mamba", *CREATE), ("/bin/mamba", *ACTIVATE)),
        (
            {"~/miniforge3/bin/conda": "/h/miniforge3/bin/conda"},
            ("/h/miniforge3/bin/conda", *CREATE),
            ("/h/miniforge3/bin/conda", "shell.posix", "activate", PREFIX),
        ),
    ],
)
def test_the_first_that_the_host_has(
    found: dict[str, str], step: tuple[str, ...], hook: tuple[str, ...]
) -> None:
    tree = DictTree({"environment.yml": CONDA})
    plan = conda.plan(tree, Tools(found=found, identity="id", where="/env"))
    assert plan.layers[0].steps == (step,)
    assert plan.hook == hook


def _conda_key(pip: str, more: dict[str, str], snapshot: str = "s1") -> str:
    files = {"environment.yml": f"{CONDA}  - {pip}\n", **more}
    return conda.plan(DictTree(files, snapshot=snapshot), tools("conda")).layers[0].key


def test_what_the_pip_section_reads_counts() -> None:
    assert _conda_key("-r more.txt", {"more.txt": "a"}) != _conda_key("-r more.txt", {"more.txt": "b"})
    assert _conda_key("-e .", {"setup.py": "a"}) != _conda_key("-e .", {"setup.py": "b"})
    assert _conda_key("-e .", {}) == _conda_key("-e .", {}, "s2")
    assert _conda_key("./lib", {}) != _conda_key("./lib", {}, "s2")


def test_what_conda_lacks_is_said() -> None:
    with pytest.raises(PlanError, match=r"environment.yml needs micromamba, mamba or conda, and the host"):
        conda.plan(DictTree({"environment.yml": CONDA}), tools())
    with pytest.raises(PlanError, match=r"conda finds nothing to install in a: no environment.yml"):
        conda.plan(DictTree({}, "a"), tools("conda"))


# --- pixi --------------------------------------------------------------------------------


def test_pixi() -> None:
    tree = DictTree({"x/pixi.toml": "[workspace]\n", "x/pixi.lock": "version: 6\n"}, "x")
    assert pixi.plan(tree, tools("pixi")) == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(
                    ("pixi", "id"),
                    ("lock", "version: 6\n"),
                    ("pixi.toml", "[workspace]\n"),
                    (".pixi/config.toml", ""),
                    ("pyproject.toml", ""),
                ),
                steps=(("/bin/pixi", "install", "--locked"),),
                cwd="/box/x",
                variables=(("PIXI_NO_PROGRESS", "true"),),
                fresh=False,
            ),
        ),
        unset=("PYTHONHOME", "PYTHONPATH"),
        hook=("/bin/pixi", "shell-hook", "--shell", "bash", "--locked"),
        lodged=("x/.pixi/envs", "x/.pixi/solve-group-envs"),
    )


def test_pixi_without_a_lock_and_without_pixi() -> None:
    tree = DictTree({"pixi.toml": ""})
    assert pixi.plan(tree, tools("pixi")).layers[0].steps == (("/bin/pixi", "install"),)
    with pytest.raises(PlanError, match=r"pixi.toml needs pixi, and the host has none"):
        pixi.plan(tree, tools())


# --- renv --------------------------------------------------------------------------------


def test_renv() -> None:
    run = ("/bin/Rscript", "--no-init-file", "-e")
    assert renv.plan(DictTree({"renv.lock": LOCKFILE}), tools("Rscript")) == Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(("renv", "id"), ("lock", LOCKFILE), ("settings", "")),
                steps=(
                    (*run, renv._BOOTSTRAP, "/env/renv", "https://a.example"),
                    (*run, renv._RESTORE, "/env/renv", "/env/library"),
                ),
                cwd="/box",
                variables=(("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),),
                fresh=False,
            ),
        ),
        variables=(
            ("R_LIBS_USER", "/env/library"),
            ("R_LIBS_SITE", "/env/none"),
            ("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),
        ),
        unset=("R_LIBS", "R_HOME", "RENV_PROJECT", "RENV_PROFILE"),
        proof=("/env/library",),
    )


def test_what_renv_lacks_is_said() -> None:
    with pytest.raises(PlanError, match=r"renv.lock needs R, and the host has no Rscript"):
        renv.plan(DictTree({"renv.lock": "{}"}), tools())
    with pytest.raises(PlanError, match=r"renv.lock cannot be read"):
        renv.plan(DictTree({"renv.lock": "{"}), tools("Rscript"))
    assert renv._repository("{}") == renv._CRAN
