"""R packages as renv.lock names them, restored by renv into a library of the job's own.

The project's autoloader (renv/activate.R) stays off: it would look for a library inside the
checkout, and only where R starts in the project's directory.
"""

from __future__ import annotations

import json

from dobby.core.plan import LOCKED, NOT_DECLARED, Layer, Plan, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dobby.core.plan import Tools, Tree

FAMILY = "r"
NEEDS = ("Rscript",)
HINTS = (
    (
        "renv could not be installed",
        "the host has no renv, and R could not install it from the lock file's repository: "
        "install the package renv there, or set RENV_CONFIG_REPOS_OVERRIDE in `variables` of the "
        "host's settings",
    ),
)

_LOCK = "renv.lock"
_CRAN = "https://cloud.r-project.org"
# renv itself: the host's, else from the first of the lock file's repositories.
_BOOTSTRAP = """
where <- commandArgs(TRUE); repos <- Sys.getenv("RENV_CONFIG_REPOS_OVERRIDE", where[[2]])
if (!requireNamespace("renv", lib.loc = c(where[[1]], .libPaths()), quietly = TRUE)) {
  dir.create(where[[1]], recursive = TRUE, showWarnings = FALSE)
  try(install.packages("renv", lib = where[[1]], repos = repos))
  if (!requireNamespace("renv", lib.loc = where[[1]], quietly = TRUE)) stop("renv could not be installed")
}
"""
_RESTORE = """
where <- commandArgs(TRUE); options(renv.consent = TRUE)
dir.create(where[[2]], recursive = TRUE, showWarnings = FALSE)
loadNamespace("renv", lib.loc = c(where[[1]], .libPaths()))
renv::restore(project = getwd(), library = where[[2]], lockfile = "renv.lock", clean = TRUE, prompt = FALSE)
"""


def detect(tree: Tree) -> int:
    return NOT_DECLARED if tree.read(_LOCK) is None else LOCKED


def plan(tree: Tree, tools: Tools) -> Plan:
    lock = tree.read(_LOCK)
    if lock is None:
        raise PlanError(f"renv finds nothing to install in {tree.dir or 'the top directory'}: no renv.lock")
    if "Rscript" not in tools.found:
        raise PlanError(
            "renv.lock needs R, and the host has no Rscript in PATH: install R there, or name its "
            "directory in `path` of the host's settings"
        )
    rscript = tools.found["Rscript"]
    library, own = f"{tools.where}/library", f"{tools.where}/renv"
    run = (rscript, "--no-init-file", "-e")
    activation = (
        ("R_LIBS_USER", library),
        # Other packages of the host are no part of what the lock file says. Where its administrator's
        # Renviron.site adds a directory to this, that stays, behind the job's own.
        ("R_LIBS_SITE", f"{tools.where}/none"),
        ("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),
    )
    return Plan(
        layers=(
            Layer(
                name="dependencies",
                key=key_text(
                    ("renv", tools.identity),
                    ("lock", lock),
                    ("settings", tree.read("renv/settings.json") or ""),
                ),
                steps=(
                    (*run, _BOOTSTRAP, own, _repository(lock)),
                    (*run, _RESTORE, own, library),
                ),
                cwd=tree.path,
                variables=(("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE"),),
                fresh=False,
            ),
        ),
        variables=activation,
        unset=("R_LIBS", "R_HOME", "RENV_PROJECT", "RENV_PROFILE"),
        proof=(library,),
    )


def _repository(lock: str) -> str:
    """The first that the lock file names. Raises PlanError where it is no JSON."""
    try:
        told: Any = json.loads(lock)
        named = told.get("R", {}).get("Repositories") or [{}]
        return str(named[0].get("URL") or _CRAN)
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise PlanError(f"renv.lock cannot be read: {error}") from None
