"""environment.yml, by the first of micromamba, mamba and conda that the host has.

A changed file makes the environment anew, from the host's package cache: what `conda env update
--prune` should remove often stays (conda/conda#14891, and what pip installed never goes).
"""

from __future__ import annotations

import posixpath
import re

from dobby.core import recipe
from dobby.core.lazy import regex
from dobby.core.plan import NOT_DECLARED, PREFERRED, Layer, Plan, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Tools, Tree

FAMILY = "python"
# In PATH; then where their installers put them, since without `conda init` they are in no PATH.
_PLACES = ("~/miniforge3", "~/mambaforge", "~/miniconda3", "~/anaconda3", "/opt/conda")
_TOOLS = (
    *("micromamba", "mamba", "conda", "~/micromamba/bin/micromamba"),
    *(f"{place}/bin/{name}" for place in _PLACES for name in ("mamba", "conda")),
)
NEEDS = ("|".join(_TOOLS),)
HINTS: tuple[tuple[str, str], ...] = ()

_FILES = ("environment.yml", "environment.yaml")
# Each program has its own way to say yes; for all of them it is a variable.
_QUIET = (
    ("CONDA_ALWAYS_YES", "true"),
    ("MAMBA_ALWAYS_YES", "true"),
    ("MAMBA_NO_BANNER", "1"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
)
# Lines of its `pip:` section: files to read, and what lies in the checkout.
_INCLUDED = regex(r"^\s*-\s+['\"]?(?:-r|-c|--requirement|--constraint)[ =]+([^\s'\"#]+)", re.M)
_LOCAL = regex(r"^\s*-\s+['\"]?(-e\s+|--editable[ =])?(\.{1,2}(?:/[^\s'\"#]*)?|file:\S+)", re.M)


def detect(tree: Tree) -> int:
    return PREFERRED if _file(tree) else NOT_DECLARED


def plan(tree: Tree, tools: Tools) -> Plan:
    file = _file(tree)
    if not file:
        raise PlanError(
            f"conda finds nothing to install in {tree.dir or 'the top directory'}: no environment.yml"
        )
    tool = next((tools.found[name] for name in _TOOLS if name in tools.found), "")
    if not tool:
        raise PlanError(
            f"{file} needs micromamba, mamba or conda, and the host has none in PATH or in a usual "
            "place (~/miniforge3 …): install one there, or name its directory in `path` of the "
            "host's settings"
        )
    prefix = f"{tools.where}/prefix"
    return Plan(
        layers=(
            Layer(
                name="dependencies",
                key=_key(tree, tools, file, tool),
                steps=(_create(tool, prefix, file),),
                cwd=tree.path,
                variables=_QUIET,
            ),
        ),
        unset=("PYTHONHOME", "PYTHONPATH"),
        proof=(f"{prefix}/conda-meta/history",),
        hook=_hook(tool, tools, prefix),
    )


def _file(tree: Tree) -> str:
    return next((name for name in _FILES if tree.read(name) is not None), "")


def _create(tool: str, prefix: str, file: str) -> tuple[str, ...]:
    if posixpath.basename(tool) == "micromamba":
        return (tool, "create", "-y", "-p", prefix, "-f", file)
    return (tool, "env", "create", "-p", prefix, "-f", file)


def _hook(tool: str, tools: Tools, prefix: str) -> tuple[str, ...]:
    """mamba 1 leaves activation to the conda beside it; mamba 2, which may stand alone, and
    micromamba do it themselves."""
    name = posixpath.basename(tool)
    if name == "mamba":
        beside = f"{posixpath.dirname(tool)}/conda"
        conda = next((path for path in tools.found.values() if path == beside), "")
        tool, name = (conda, "conda") if conda else (tool, name)
    if name == "conda":
        return (tool, "shell.posix", "activate", prefix)
    return (tool, "shell", "activate", "-s", "bash", "-p", prefix)


def _key(tree: Tree, tools: Tools, file: str, tool: str) -> str:
    text = tree.read(file) or ""
    keys = [("conda", tools.identity), ("by", tool), (file, text)]
    for name in _INCLUDED.findall(text):
        keys.append((name, tree.read(name) or ""))
    whole = False
    for editable, path in _LOCAL.findall(text):
        whole = whole or not editable  # a copy goes with the commit
        for name in ("pyproject.toml", "setup.py", "setup.cfg"):
            keys.append((f"{path}/{name}", tree.read(posixpath.join(path, name)) or ""))
    keys += [*recipe.versions(tree), ("snapshot", tree.snapshot if whole else "")]
    return key_text(*keys)
