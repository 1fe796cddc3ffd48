"""Answers a host's question for commits: what it may have already, then a pack of the rest.
`contents` answers for what git does not carry."""

from __future__ import annotations

import re

from dobby import snapshot as snap
from dobby.core import json, protocol
from dobby.core.errors import DobbyError
from dobby.core.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dobby.client.contents import Contents
    from dobby.snapshot import Checkout, Snapshot

CHUNK = 1 << 18


# A host's commits that are unknown here may be nearer to what is wanted than those that are
# known. Asking costs a round trip, which so many commits (a working tree, a day's work) do not.
NEAR = 16


def nothing_to_send(payload: bytes) -> Iterator[bytes]:
    """The answer of a caller without a checkout."""
    question = json.loads(payload)
    wanted = question.get("want") or [f"file {id[:7]}" for id, _ in question["blobs"]]
    ids = ", ".join(id[:12] for id in wanted[:3])
    error = f"the host does not have {ids} any more, and there is no checkout here to send it from"
    yield protocol.frame(json.dumps({"error": error}).encode())


def is_id(text: object) -> bool:
    """Whether it is an object id, whole."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


class Sender:
    """Sends what the host lacks, from the checkout or from a submodule's own repository.

    The pack goes straight from `git pack-objects` into the launch's own session: no `git push`
    takes part, so none of the user's push settings, hooks and URL rewrites can. A host gets what
    belongs to this run, whatever it asks for: its questions are words that git would read as
    revisions and options. `tags` are the ids of the request's tags."""

    def __init__(
        self,
        checkout: Checkout,
        snapshot: Snapshot,
        tags: Iterable[str],
        contents: Contents,
        progress: Callable[[str, int, int | None], None],
    ) -> None:
        self._progress, self._contents = progress, contents
        self._sources = {"": (checkout.git_dir, snapshot.objects, False)}
        self._offered = {"": {snapshot.commit, *tags}}
        for source in snapshot.modules:
            self._sources[source.module.name] = (source.git_dir, source.objects, source.cut)
            self._offered[source.module.name] = {source.module.commit}
        self._asked: set[str] = set()
        self._have: dict[str, set[str]] = {}
        self.sent_bytes = 0

    def answer(self, payload: bytes) -> Iterator[bytes]:
        """Frames that answer one question (`protocol.ASK`)."""
        question = json.loads(payload)
        if "blobs" in question:
            yield from self._contents.answer(question["repository"], question["blobs"])
            return
        name, want = question["repository"], question["want"]
        if not want or not self._offered.get(name, set()).issuperset(want):
            raise DobbyError(f"the host asked for {shown(str(want))}, which is no part of this run")
        question = {**question, **{key: [*filter(is_id, question[key])] for key in ("have", "shallow")}}
        git_dir, objects, cut = self._sources[name]
        have = self._have[name] = self._have.get(name, set()) | snap.known(
            git_dir, objects, question["have"]
        )
        foreign = len(have) < len(question["have"])
        if foreign and name not in self._asked and not self._is_near(git_dir, objects, want[0], have):
            self._asked.add(name)
            ids = snap.recent(git_dir, objects, want[0])
            yield protocol.frame(json.dumps({"check": ids}).encode())
            return
        yield protocol.frame(json.dumps({"pack": True, "shallow": want if cut else []}).encode())
        shallow = [*(want if cut else ()), *have.intersection(question["shallow"])]
        yield from self._pack(git_dir, objects, want, sorted(have), shallow)

    def _is_near(self, git_dir: str, objects: tuple[str, ...], commit: str, have: set[str]) -> bool:
        return bool(have) and snap.distance(git_dir, objects, commit, have, NEAR) < NEAR

    def _pack(
        self, git_dir: str, objects: tuple[str, ...], want: list[str], have: list[str], shallow: list[str]
    ) -> Iterator[bytes]:
        with snap.pack(git_dir, objects, want, have, shallow) as process:
            assert process.stdout is not None  # noqa: S101 - they are pipes
            assert process.stderr is not None  # noqa: S101
            while data := process.stdout.read(CHUNK):
                self.sent_bytes += len(data)
                self._progress("sending commits", self.sent_bytes, None)
                yield protocol.frame(data)
            said = process.stderr.read().decode("utf-8", "replace").strip()
        if process.returncode:
            raise DobbyError(
                f"git pack-objects failed: {said or f'exit {process.returncode}'}; nothing was started",
                "`git fsck` in the checkout says what is missing",
            )
        yield protocol.frame(b"")
