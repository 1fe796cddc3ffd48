"""Object caches: made once, filled whole or not at all, pinned so that gc keeps what is used."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent.sandboxes import commit, git, in_child, make_repo, send
from tests.wait import until

from dobby.agent import objects, pins
from dobby.core.errors import DobbyError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "1" * 40


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "laptop", {"a.txt": "a\n" * 500, "b.txt": "b\n"})


@pytest.fixture
def cache(tmp_path: Path) -> str:
    path = str(tmp_path / "dobby/cache.git")
    objects.ensure_cache(path, "sha1", dict(os.environ))
    return path


def head(repo: Path) -> str:
    return git(repo, "rev-parse", "HEAD")


def files_below(cache: str) -> set[str]:
    return {os.path.join(at, name) for at, _, names in os.walk(f"{cache}/objects") for name in names}


def pack_of(laptop: Path, *revs: str) -> bytes:
    packing = ["git", "pack-objects", "--thin", "--stdout", "--revs", "-q"]
    asked = "".join(f"{rev}\n" for rev in revs).encode()
    return subprocess.run(packing, cwd=laptop, input=asked, stdout=subprocess.PIPE, check=True).stdout


def reader(data: bytes, then: type[BaseException] | None = None):  # type: ignore[no-untyped-def]
    """A source that gives `data` in small parts, and then ends or fails."""
    rest = memoryview(data)

    def read(most: int) -> bytes:
        nonlocal rest
        if not rest and then:
            raise then("cut")
        part, rest = rest[: min(most, 100)], rest[min(most, 100) :]
        return bytes(part)

    return read


# --- made ---


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_cache_is_bare_private_and_never_collects_by_itself(tmp_path: Path, object_format: str) -> None:
    path = str(tmp_path / "new/cache.git")
    objects.ensure_cache(path, object_format, dict(os.environ))
    assert (
        git(path, "rev-parse", "--is-bare-repository", "--show-object-format") == f"true\n{object_format}"
    )
    assert git(path, "config", "gc.auto") == "0"
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path / "new") == ["cache.git"]
    objects.ensure_cache(path, object_format, dict(os.environ))


def test_a_cache_of_another_format_is_refused(cache: str) -> None:
    with pytest.raises(DobbyError, match="holds sha1 objects, this repository has sha256"):
        objects.ensure_cache(cache, "sha256", dict(os.environ))


def test_many_make_it_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "cache.git")
    pids = [in_child(lambda: objects.ensure_cache(path, "sha1", dict(os.environ))) for _ in range(6)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 6
    assert os.listdir(tmp_path) == ["cache.git"]


def test_settings_of_the_account_play_no_part(tmp_path: Path, laptop: Path) -> None:
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks/post-receive").write_text("evil")
    git(tmp_path, "config", "--global", "init.templateDir", str(template))
    git(tmp_path, "config", "--global", "gc.auto", "1")
    env = {**os.environ, "GIT_DIR": str(laptop / ".git"), "GIT_INDEX_FILE": "/nowhere"}
    objects.ensure_cache(str(tmp_path / "cache.git"), "sha1", env)
    assert not (tmp_path / "cache.git/hooks").exists()
    assert not objects.holds(str(tmp_path / "cache.git"), head(laptop))


# --- filled ---


def test_a_thin_pack_is_completed(laptop: Path, cache: str) -> None:
    first = head(laptop)
    send(laptop, cache, [first])
    objects.pin(cache, "job", first)
    second = commit(laptop, {"a.txt": "a\n" * 500 + "more\n"})
    thin = pack_of(laptop, second, f"^{first}")
    assert len(thin) < 600
    objects.receive(cache, reader(thin), dict(os.environ))
    assert objects.holds(cache, second)
    git(cache, "fsck", "--full")


def test_from_a_descriptor(laptop: Path, cache: str, tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(pack_of(laptop, head(laptop)))
    fd = os.open(tmp_path / "pack", os.O_RDONLY)
    objects.receive(cache, fd, dict(os.environ))
    os.close(fd)
    assert objects.holds(cache, head(laptop))


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.999])
def test_a_cut_stream_leaves_nothing(laptop: Path, cache: str, part: float) -> None:
    pack = pack_of(laptop, head(laptop))
    before = files_below(cache)
    with pytest.raises(DobbyError, match="did not arrive whole"):
        objects.receive(cache, reader(pack[: int(len(pack) * part)]), dict(os.environ))
    assert files_below(cache) == before
    objects.receive(cache, reader(pack), dict(os.environ))
    assert objects.holds(cache, head(laptop))


def test_a_source_that_fails_leaves_nothing(laptop: Path, cache: str) -> None:
    before = files_below(cache)
    with pytest.raises(ConnectionResetError):
        objects.receive(
            cache, reader(pack_of(laptop, head(laptop))[:200], ConnectionResetError), dict(os.environ)
        )
    assert files_below(cache) == before


def test_an_altered_stream_is_refused_in_gits_words(laptop: Path, cache: str) -> None:
    pack = bytearray(pack_of(laptop, head(laptop)))
    pack[len(pack) // 2] ^= 1
    with pytest.raises(DobbyError, match="fatal:"):
        objects.receive(cache, reader(bytes(pack)), dict(os.environ))


def test_a_thin_pack_whose_base_is_unknown_is_refused(laptop: Path, cache: str) -> None:
    first = head(laptop)
    second = commit(laptop, {"a.txt": "a\n" * 500 + "more\n"})
    with pytest.raises(DobbyError, match="unresolved"):
        objects.receive(cache, reader(pack_of(laptop, second, f"^{first}")), dict(os.environ))
    assert not objects.holds(cache, second)


def test_what_a_killed_receiver_left_goes_with_the_next(laptop: Path, cache: str) -> None:
    """One still at work is left alone: it is told apart by its lock."""
    pack = pack_of(laptop, head(laptop))
    pipe, feed = os.pipe()

    def receive_for_ever() -> None:
        os.close(feed)
        objects.receive(cache, lambda most: os.read(pipe, most), dict(os.environ))

    pids = [in_child(receive_for_ever) for _ in range(2)]

    def incoming() -> list[str]:
        return [name for name in os.listdir(f"{cache}/objects") if name.startswith("dobby-incoming-")]

    until(lambda: len(incoming()) == 2)
    os.kill(pids[0], signal.SIGKILL)
    os.waitpid(pids[0], 0)

    def only_the_living_one() -> bool:
        # a child of the killed one may still be on its way to exec, and hold the lock until then
        objects.receive(cache, reader(pack), dict(os.environ))
        return len(incoming()) == 1

    until(only_the_living_one)
    os.kill(pids[1], signal.SIGKILL)
    os.waitpid(pids[1], 0)
    os.close(feed)
    os.close(pipe)
    until(lambda: not only_the_living_one() and not incoming())
    assert objects.holds(cache, head(laptop))


@pytest.mark.parametrize("before", ["open", "flock"])
def test_a_place_that_a_sweep_takes_before_it_is_locked(
    laptop: Path, cache: str, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """A label's launch sweeps what no receiver has locked: another one's, an instant old."""
    swept: list[str] = []
    where = os if before == "open" else fcntl
    real = getattr(where, before)

    def late(first: Any, *rest: Any, **more: Any) -> Any:
        path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
        if "/dobby-incoming-" in path and not swept:
            swept.append(path)
            os.rmdir(path)
        return real(first, *rest, **more)

    monkeypatch.setattr(where, before, late)
    send(laptop, cache, [head(laptop)])
    assert swept
    assert objects.holds(cache, head(laptop))


# --- asked ---


def test_which_objects_are_there(laptop: Path, cache: str) -> None:
    git(laptop, "tag", "-a", "v1", "-m", "one")
    tag = git(laptop, "rev-parse", "v1")
    send(laptop, cache, [head(laptop), tag])
    env = dict(os.environ)
    assert objects.existing(cache, [NOBODY, tag, head(laptop)], env) == [tag, head(laptop)]
    assert objects.kinds(cache, [tag, head(laptop)], env) == {tag: "tag", head(laptop): "commit"}
    assert objects.existing(cache, [], env) == []
    assert not objects.holds(cache, NOBODY)
    with pytest.raises(UsageError):
        objects.existing(cache, ["HEAD\nevil"], env)
    with pytest.raises(UsageError):
        objects.holds(cache, "--batch")


def test_tips_are_the_newest_first_and_once(laptop: Path, cache: str) -> None:
    commits = []
    for number in range(4):
        os.environ["GIT_COMMITTER_DATE"] = f"{1_700_000_000 + number} +0000"
        commits.append(commit(laptop, {"n": str(number)}))
        send(laptop, cache, [commits[-1]])
        objects.pin(cache, f"job{number}", commits[-1])
    del os.environ["GIT_COMMITTER_DATE"]
    objects.pin_sandbox(cache, "job3", commits[3])
    assert objects.tips(cache) == commits[::-1]
    assert objects.tips(cache, most=2) == commits[:1:-1]
    for folder, _, names in os.walk(f"{cache}/refs"):
        for name in names:
            os.utime(f"{folder}/{name}", (1, 1))
    objects.pin(cache, "job0", commits[1])  # what was asked for last is nearest to what will be
    assert objects.tips(cache)[0] == commits[1]
    git(cache, "pack-refs", "--all")
    assert sorted(objects.tips(cache)) == sorted(commits[1:])


def test_a_broken_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache.git").mkdir()
    with pytest.raises(DobbyError, match="cannot be read"):
        objects.ensure_cache(str(tmp_path / "cache.git"), "sha1", dict(os.environ))


# --- pinned ---


def test_gc_keeps_what_is_pinned_and_nothing_else(laptop: Path, cache: str) -> None:
    first = head(laptop)
    git(laptop, "tag", "-a", "v1", "-m", "one")
    tag = git(laptop, "rev-parse", "v1")
    git(laptop, "checkout", "-q", "--orphan", "other")
    second = commit(laptop, {"c": "c"})
    send(laptop, cache, [first, second, tag])
    env = dict(os.environ)
    objects.pin(cache, "one", first)
    objects.pin_left(cache, "two", "run1", second)
    objects.pin_tags(cache, [tag])
    git(cache, "gc", "-q", "--prune=now")
    assert objects.existing(cache, [first, second, tag], env) == [first, second, tag]
    assert objects.holds(cache, first)
    pins.drop_job(cache, "two", env)
    pins.drop_job(cache, "nobody", env)
    git(cache, "gc", "-q", "--prune=now")
    assert objects.existing(cache, [first, second, tag], env) == [first, tag]


def test_a_pin_moves_also_where_git_has_packed_it(laptop: Path, cache: str) -> None:
    first, second = head(laptop), commit(laptop, {"n": "2"})
    send(laptop, cache, [second])
    objects.pin(cache, "job", first)
    git(cache, "pack-refs", "--all")
    objects.pin(cache, "job", second)
    assert git(cache, "rev-parse", "refs/dobby/jobs/job") == second


def test_a_lock_left_by_a_killed_git_is_taken_over(laptop: Path, cache: str) -> None:
    send(laptop, cache, [head(laptop)])
    os.makedirs(f"{cache}/refs/dobby/jobs")
    lock = f"{cache}/refs/dobby/jobs/job.lock"
    open(lock, "w").close()
    long_ago = time.time() - 3600
    os.utime(lock, (long_ago, long_ago))
    objects.pin(cache, "job", head(laptop))
    assert git(cache, "rev-parse", "refs/dobby/jobs/job") == head(laptop)
    assert not os.path.exists(lock)


def test_a_lock_that_is_held_is_waited_for(laptop: Path, cache: str) -> None:
    send(laptop, cache, [head(laptop)])
    os.makedirs(f"{cache}/refs/dobby/jobs")
    lock = f"{cache}/refs/dobby/jobs/job.lock"
    open(lock, "w").close()
    pid = in_child(lambda: objects.pin(cache, "job", head(laptop)))
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    assert not os.path.exists(f"{cache}/refs/dobby/jobs/job")
    os.unlink(lock)
    assert os.waitpid(pid, 0)[1] == 0
    assert git(cache, "rev-parse", "refs/dobby/jobs/job") == head(laptop)


@pytest.mark.parametrize("label", ["../x", "a/b", "", "x.lock", "-rf"])
def test_a_label_that_is_none_is_refused(cache: str, label: str) -> None:
    with pytest.raises(UsageError):
        objects.pin(cache, label, NOBODY)
