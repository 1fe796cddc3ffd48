"""What a run is to bring along beside its commit, read where the checkout stands."""

from __future__ import annotations

from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dobby.client.asking import Asked, Source
    from dobby.config import Options

OPTION = "--include"


def of_options(asked: Asked, source: Source, options: Options, say: Callable[[str], None]) -> Asked:
    """`asked`, with what the option or the setting names. Raises UsageError."""
    if options.include and source.checkout is None:
        if options.sources["include"] == OPTION:
            raise UsageError("--include needs a checkout, and --repo has none", "run it from a checkout")
        say(f"{', '.join(options.include)} (include) does not travel with --repo")
        return asked
    return bring(asked, source, options.include, say)


def bring(asked: Asked, source: Source, paths: tuple[str, ...], say: Callable[[str], None]) -> Asked:
    """`asked`, with the files of `paths` as they are now. Raises UsageError."""
    if not paths or source.checkout is None or source.snapshot is None:
        return asked
    from dobby import snapshot as snap

    found = snap.include(source.checkout, source.snapshot, paths)
    for notice in found.notices:
        say(notice)
    request = asked.request.replace(include=paths, manifest=found.manifest)
    with_files: Asked = asked.replace(request=request, contents=found.contents)
    return with_files
