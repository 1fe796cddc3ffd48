"""Names: what is let in, and how the rest is made fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests import weird

from dobby.core import layout, names
from dobby.core.errors import UsageError

LABELS = some.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(names.is_name)


@pytest.mark.parametrize("name", ["a", "9", "my-branch", "v1.2_rc", "A" * 64, "lock", "a.lock.b"])
def test_ordinary_names_are_let_in(name: str) -> None:
    assert names.check_name(name, "label") == name


@pytest.mark.parametrize("name", weird.NOT_NAMES)
def test_anything_else_is_refused_in_one_harmless_sentence(name: str) -> None:
    assert not names.is_name(name)
    with pytest.raises(UsageError) as caught:
        names.check_name(name, "label")
    assert caught.value.message.startswith("label ")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000


@given(some.text(max_size=200))
def test_whatever_is_made_fit_is_a_name(text: str) -> None:
    assert names.is_name(names.make_name(text, "fallback"))


@given(LABELS.filter(lambda name: not name.endswith("-")))
def test_a_name_is_made_fit_of_itself(name: str) -> None:
    assert names.make_name(name, "fallback") == name


@pytest.mark.parametrize(
    ("branch", "label"),
    [
        ("feature/new-thing", "feature-new-thing"),
        ("fix#12: it's", "fix-12-it-s"),
        ("a..b", "a.b"),
        ("x.lock", "x"),
        ("--", "fallback"),
        ("日本", "fallback"),
        ("x" * 63 + "/y", "x" * 63),
    ],
)
def test_branches_become_labels(branch: str, label: str) -> None:
    assert names.make_name(branch, "fallback") == label


@given(some.text())
def test_what_is_shown_is_printable_and_has_an_end(text: str) -> None:
    shown = names.shown(text)
    assert shown.isprintable()
    assert len(shown) <= 81 * len(r"\U0010ffff") + len("''")


@given(LABELS, LABELS, LABELS)
def test_a_run_lies_below_its_job_and_that_below_its_project(project: str, label: str, run_id: str) -> None:
    job = layout.Job(home="/h", project=project, label=label)
    run = job.run(run_id)
    assert run.root.startswith(job.root + "/")
    assert job.root.startswith(job.of_project.root + "/")
    assert run.job == job
    assert run.root == f"/h/projects/{project}/jobs/{label}/runs/{run_id}"


@pytest.mark.parametrize("name", weird.NOT_NAMES)
def test_no_path_is_made_of_what_is_no_name(name: str) -> None:
    job = layout.Job(home="/h", project="p", label=name)
    with pytest.raises(UsageError):
        _ = job.lock
    with pytest.raises(UsageError):
        _ = layout.Project(home="/h", project=name).cache
    with pytest.raises(UsageError):
        _ = layout.Job(home="/h", project="p", label="l").run(name).log


def test_caches_of_submodules_never_lie_inside_each_other() -> None:
    project = layout.Project(home="/h", project="p")
    caches = [project.module_cache(name) for name in ("a", "a/b", "a.git/b", "a%2Fb")]
    assert len(set(caches)) == 4
    assert all(cache.rpartition("/")[0] == "/h/projects/p/submodules" for cache in caches)


@pytest.mark.parametrize("text", ["ann@example.org", "a.b+c@localhost", "x@10.0.0.1", "o'neil@x-y.example"])
def test_plain_addresses_are_let_in(text: str) -> None:
    assert names.is_address(text)
    assert names.check_who(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "a@", "@b", "a@b@c", "a b@c", "a@b c", "a@b\r\nBcc: x@y", "a@b,c@d", "<a@b>"),
        *('"a"@b', "a@b\0", "a@-x", "-oQ@b", "a" * 65 + "@b", "é@b", "a@b>", "a;b@c:d"),
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    assert not names.is_address(text)
    if text != "ann":  # that is a channel's name
        with pytest.raises(UsageError, match="nobody who could be told"):
            names.check_who(text)
