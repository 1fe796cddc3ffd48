"""What a cache need not keep any more: the pins of sandboxes and jobs that are gone."""

from __future__ import annotations

from dobby.agent import objects
from dobby.core.names import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_REFS = ("for-each-ref", "--format=%(refname)")


def drop_job(cache: str, label: str, env: Mapping[str, str]) -> None:
    """The job `label` is gone: `git gc` may drop what only it needed."""
    _drop(cache, [f"jobs/{check_name(label, 'label')}"], env)
    drop_sandbox(cache, label, env)


def drop_sandbox(cache: str, label: str, env: Mapping[str, str]) -> None:
    """The sandbox of `label` is gone, with all that its runs had left."""
    check_name(label, "label")
    _drop(cache, [f"sandboxes/{label}", f"left/{label}/"], env)


def labels(cache: str, env: Mapping[str, str]) -> set[str]:
    """Of which anything is pinned."""
    kinds = [f"refs/dobby/{kind}/" for kind in ("jobs", "sandboxes", "left")]
    return {name.split("/")[3] for name in objects.ask(cache, [*_REFS, *kinds], env).decode().split()}


def _drop(cache: str, names: list[str], env: Mapping[str, str]) -> None:
    found = objects.ask(cache, [*_REFS, *(f"refs/dobby/{name}" for name in names)], env).split()
    if found:
        objects.ask(
            cache, ["update-ref", "--stdin"], env, b"".join(b"delete %b\n" % name for name in found)
        )
