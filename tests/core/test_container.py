"""What engines are told, by whole values."""

from __future__ import annotations

import pytest
from tests.core.plans import DictTree, tools

from dobby.agent.environments import container as kind
from dobby.core import container
from dobby.core.errors import UsageError
from dobby.core.plan import NOT_DECLARED, WHEN_ASKED, PlanError

ROOTLESS = container.parse_engine("/bin/podman", "podman", "4.9.1 true\n", 1000, 100)


def test_engines_keep_the_ids_of_the_account() -> None:
    def engine(name: str, told: str, uid: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        made = container.parse_engine(f"/bin/{name}", name, told, uid, 100)
        return made.user, made.log

    passthrough, nowhere = ("--log-driver", "passthrough"), ("--log-driver", "none")
    assert engine("podman", "4.3.1 true", 7) == (("--userns", "keep-id", "--user", "7:100"), passthrough)
    assert engine("podman", "3.4.4 false", 0) == (("--user", "0:100"), nowhere)
    assert engine("docker", "26.1 [name=seccomp,profile=builtin]", 7) == (("--user", "7:100"), nowhere)
    assert engine("docker", "26.1 [name=rootless]", 7) == (("--user", "0:0"), nowhere)


def test_values_are_in_no_argv_and_steer_no_engine() -> None:
    inside = {"PATH": "/opt", "TOKEN": "s3cret", "DOBBY_RUN_ID": "r"}
    where = container.Container(engine=ROOTLESS, image="i", home="/h")
    place = container.Place(
        name="n", run="/r", cwd="/box", writable=("/box",), readable=("/c",), names=tuple(inside)
    )
    argv = container.run_argv(where, place, "make")
    assert not any("s3cret" in word or word == "PATH" for word in argv)
    assert argv[-2:] == ("sh", "make")
    assert container.variables(inside) == {
        "DOBBY_RUN_ID": "r",
        "DOBBY_NAMES": "PATH TOKEN",
        "DOBBY_SET_PATH": "/opt",
        "DOBBY_SET_TOKEN": "s3cret",
    }


@pytest.mark.parametrize("names", [("container:",), ("container:-v",), ("uv:x",), ("container:a", "uv")])
def test_names_that_mean_nothing_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        container.check(names)


def test_an_image_or_a_file_to_build_it_from() -> None:
    container.check(("container:docker.io/library/python:3.12@sha256:00",))
    bare, built = DictTree({}), DictTree({"Dockerfile": "FROM x\nCOPY . /app\n"})
    with_engine = tools().replace(engine=ROOTLESS, run_id="r")
    assert (kind.detect(bare), kind.detect(built)) == (NOT_DECLARED, WHEN_ASKED)
    with pytest.raises(PlanError, match="no Containerfile"):
        kind.plan(bare, with_engine)
    with pytest.raises(PlanError, match="neither podman nor docker"):
        kind.plan(built, tools())
    plan = kind.plan(bare, with_engine.replace(argument="busybox"))
    assert [step[1] for step in plan.layers[0].steps] == ["run"]
    plan = kind.plan(built, with_engine)
    assert [step[1] for step in plan.layers[0].steps] == ["build", "run"]
    other = DictTree(built.files, snapshot="s2")
    assert kind.plan(other, with_engine).layers[0].key != plan.layers[0].key


def test_a_recipe_that_takes_no_file_is_the_same_in_every_commit() -> None:
    assert not container.takes_files("FROM a AS b\nCOPY --from=b /x /y\nRUN make\n")
    for line in ("COPY a b", " add x y", "RUN --mount=type=bind,target=. make", "COPY --chown=1 a b"):
        assert container.takes_files(f"FROM a\n{line}\n")
