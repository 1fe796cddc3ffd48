"""config: which settings hold, where they come from, and what is said of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dobby.client.asking import worth_saying
from dobby.config import (
    Options,
    from_environment,
    known_settings,
    load_user_file,
    parse_duration_s,
    resolve,
    user_path,
)
from dobby.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

USER = "/home/x/.config/dobby/config.toml"


def pyproject(text: str) -> tuple[str, str, str]:
    return ("pyproject.toml of main", "pyproject.toml", "[tool.dobby]\n" + text)


def test_defaults_alone() -> None:
    options = resolve()
    assert options == Options(sources=options.sources)
    assert set(options.sources.values()) == {"default"}
    assert set(options.sources) == {setting.key for setting in known_settings()}


def test_each_layer_is_put_over_the_ones_before() -> None:
    layers: dict[str, Any] = {}
    seen = []
    for name, layer in [
        ("project", [pyproject('host = "a"\ntimeout = "1h"\noutput = ["p/*"]')]),
        ("user_file", (USER, 'host = "b"\ntimeout = "2h"')),
        ("environ", {"DOBBY_HOST": "c"}),
        ("flags", {"host": "d", "label": None}),
    ]:
        layers[name] = layer
        options = resolve(**layers)
        seen.append((options.host, options.sources["host"]))
    assert seen == [("a", "pyproject.toml of main"), ("b", USER), ("c", "$DOBBY_HOST"), ("d", "--host")]
    assert (options.timeout_s, options.sources["timeout"]) == (7200.0, USER)
    assert (options.output, options.sources["output"]) == (("p/*",), "pyproject.toml of main")
    assert options.sources["label"] == "default"


def test_a_project_cannot_ask_for_the_user_s_ssh_agent() -> None:
    options = resolve(project=[pyproject("forward_agent = true")])
    assert not options.forward_agent
    assert "belongs in the user's file" in options.warnings[0]
    assert resolve(environ={"DOBBY_FORWARD_AGENT": "yes"}).forward_agent
    with pytest.raises(UsageError, match="DOBBY_FORWARD_AGENT must be true or false"):
        resolve(environ={"DOBBY_FORWARD_AGENT": "perhaps"})


def test_every_setting_is_read_with_its_type() -> None:
    shared = """
        host = "gpu"
        label = "etl"
        environment = "uv"
        setup = "make"
        setup_key = ["Makefile"]
        requires = ["cuda"]
        output = "out/*"
        keep = ["ckpt/**"]
        include = [".env"]
        forward_env = ["TOKEN"]
        notify = ["me@example.org"]
        timeout = 90
        grace = "500ms"
        if_running = "queue"
        memory = "4G"
        cpus = 1.5
        nice = 10
        untracked_limit_mb = 7
    """
    options = resolve(
        project=[pyproject(shared + 'name = "shop"')],
        user_file=(
            USER,
            'email = "a@b"\nnotify_on = ["failed", "lost"]\nanswer_within = 2\nforward_agent = true',
        ),
    )
    values = {s.key: getattr(options, s.field) for s in known_settings()}
    assert values == {
        "host": "gpu",
        "label": "etl",
        "environment": ("uv",),
        "setup": "make",
        "setup_key": ("Makefile",),
        "requires": ("cuda",),
        "output": ("out/*",),
        "keep": ("ckpt/**",),
        "include": (".env",),
        "forward_env": ("TOKEN",),
        "notify": ("me@example.org",),
        "timeout": 90.0,
        "grace": 0.5,
        "if_running": "queue",
        "memory": 4 << 30,
        "cpus": 1.5,
        "nice": 10,
        "untracked_limit_mb": 7,
        "name": "shop",
        "email": "a@b",
        "notify_on": ("failed", "lost"),
        "answer_within": 2.0,
        "forward_agent": True,
    }
    assert options.warnings == ()


def test_hosts_by_name() -> None:
    text = """
        [host.gpu]
        ssh = "me@gpu.example.org"
        become = "ml"
        default = true
        [host.cluster]
        launcher = "slurm"
        [host.cluster.slurm]
        partition = "long"
    """
    options = resolve(user_file=(USER, text))
    assert options.hosts["gpu"].ssh == "me@gpu.example.org"
    assert options.hosts["gpu"].become == "ml"
    assert options.hosts["cluster"].ssh == "cluster"
    assert options.hosts["cluster"].slurm == {"partition": "long"}
    assert (options.host, options.sources["host"]) == ("gpu", USER)


def test_a_default_host_beside_host_tables_is_explained() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(user_file=(USER, 'host = "gpu"\n[host.gpu]\nssh = "x"'))
    assert USER in caught.value.message
    assert "default = true" in caught.value.hint


def test_an_unknown_key_is_a_warning_in_the_projects_file() -> None:
    options = resolve(project=[pyproject('hots = "x"\nemail = "a@b"\ngrace = 1')])
    assert options.grace_s == 1.0
    assert options.sources["host"] == "default"
    assert "pyproject.toml of main: 'hots' is not known; did you mean host?" in options.warnings
    assert any("'email' belongs in the user's file" in w for w in options.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('hots = "x"', ["'hots'", "did you mean host?"]),
        ("zzz = 1", ["'zzz'", "known: host, label"]),
        ('name = "x"', ["'name' belongs in the project's file"]),
        ("[host.gpu]\nshs = 1", ["host.gpu", "'shs'", "ssh"]),
        ("[host.gpu]\nssh = 1", ["host.gpu.ssh", "must be text"]),
        ("host.gpu = 1", ["host.gpu must be a table"]),
        ("[host.a]\ndefault = true\n[host.b]\ndefault = true", ["a and b", "default"]),
        ("a = = 1", ["not TOML", "line 1"]),
    ],
)
def test_what_is_wrong_in_ones_own_file_is_an_error(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(user_file=(USER, text))
    for word in [USER, *words]:
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("host = 3", ["host must be text", "not 3"]),
        ("label = '../x'", ["label", "'../x'"]),
        ("name = 'a b'", ["name", "'a b'"]),
        ("output = 3", ["output must be a list of texts"]),
        ("output = ['a', 1]", ["output must be a list of texts"]),
        ("output = ['../../etc']", ["output", "leaves the checkout"]),
        ("keep = '/etc/*'", ["keep", "leaves the checkout"]),
        ("forward_env = ['A B']", ["forward_env", "'A B'"]),
        ("timeout = 'soon'", ["timeout must be a duration", "'soon'"]),
        ("timeout = true", ["timeout must be a duration"]),
        ("timeout = 0", ["timeout must be more than nothing"]),
        ("grace = -1", ["grace must be a duration from 0"]),
        ("if_running = 'que'", ["if_running", "did you mean queue?"]),
        ("untracked_limit_mb = 1.5", ["untracked_limit_mb must be a whole number"]),
        ('setup = "a\\u0000b"', ["setup must not hold a NUL"]),
    ],
)
def test_a_wrong_value_names_file_key_and_what_is_expected(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(project=[pyproject(text)])
    assert caught.value.message.startswith("pyproject.toml of main: ")
    assert "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def test_a_wrong_flag_or_variable_is_named_as_people_gave_it() -> None:
    with pytest.raises(UsageError, match=r"^--timeout must be a duration .*not 'soon'"):
        resolve(flags={"timeout": "soon"})
    with pytest.raises(UsageError, match=r"^\$DOBBY_GRACE must be a duration"):
        resolve(environ={"DOBBY_GRACE": "x"})
    with pytest.raises(UsageError, match=r"^\$DOBBY_OUTPUT is not written as words"):
        resolve(environ={"DOBBY_OUTPUT": "'x"})


def test_dobby_toml_wins_and_that_is_said() -> None:
    own = ("dobby.toml of main", "dobby.toml", 'host = "own"')
    for files in ([own, pyproject('host = "py"\nlabel = "l"')], [pyproject('host = "py"'), own]):
        options = resolve(project=files)
        assert (options.host, options.label) == ("own", "")
        assert options.sources["host"] == "dobby.toml of main"
        assert "[tool.dobby] in pyproject.toml of main is not read" in options.warnings[0]
    assert resolve(project=[own, ("pyproject.toml of main", "pyproject.toml", "[project]")]).warnings == ()


def test_a_pyproject_without_dobby_is_not_even_parsed() -> None:
    assert resolve(project=[("pyproject.toml of main", "pyproject.toml", "not = = toml")]).warnings == ()
    with pytest.raises(UsageError, match=r"pyproject.toml of main is not TOML"):
        resolve(project=[("pyproject.toml of main", "pyproject.toml", "dobby = = toml")])
    spaced = resolve(
        project=[("pyproject.toml of main", "pyproject.toml", "[tool]\ndobby = { host = 'x' }")]
    )
    assert spaced.host == "x"


def test_environment_variables() -> None:
    environ = {
        "DOBBY_LABEL": "etl",
        "DOBBY_OUTPUT": "'a b/*' c",
        "DOBBY_UNTRACKED_LIMIT_MB": "9",
        "DOBBY_TIMEOUT": "1h30m",
        "DOBBY_SETUP": "",
        "DOBBY_OUTPUTS": "/x",
        "DOBBY_HOME": "/y",
    }
    options = resolve(environ=environ)
    assert options.label == "etl"
    assert options.output == ("a b/*", "c")
    assert options.untracked_limit_mb == 9
    assert options.timeout_s == 5400.0
    assert options.sources["setup"] == "default"


def test_inside_a_job_what_it_is_told_sets_nothing() -> None:
    environ = {"DOBBY_RUN_ID": "r1", "DOBBY_LABEL": "outer", "DOBBY_HOST": "gpu", "DOBBY_DIR": "sub"}
    options = resolve(environ=environ)
    assert options.label == ""
    assert options.host == "gpu"
    assert from_environment(environ) == {"dir": "sub"}


def test_where_the_users_file_is(tmp_path: Path) -> None:
    assert user_path({"HOME": "/h"}) == "/h/.config/dobby/config.toml"
    assert user_path({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == "/c/dobby/config.toml"
    assert load_user_file({"HOME": str(tmp_path)}) is None
    path = tmp_path / "own.toml"
    environ = {"HOME": str(tmp_path), "DOBBY_CONFIG": str(path)}
    with pytest.raises(UsageError, match="does not exist"):
        load_user_file(environ)
    path.write_text("host = 'é'", encoding="utf-8")
    assert load_user_file(environ) == (str(path), "host = 'é'")
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        load_user_file(environ)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2h", 7200),
        ("90s", 90),
        ("1h30m", 5400),
        ("14d", 14 * 86400),
        ("2w", 14 * 86400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("10", 10),
        (" 3s ", 3),
        (0, 0),
        (2.5, 2.5),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration_s(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    ["", "h", "2 hours", "1h1h", "-3s", "1h 30m", "１h", "9" * 99, "1e9", None, True, [], -1, 1e99],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration_s(value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration_s(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


def test_a_launcher_that_is_not_to_be_had_is_said() -> None:
    text = '[host.cluster]\nlauncher = "slurm"\n[host.gpu]\nlauncher = "process"'
    said = {
        host: worth_saying(resolve(flags={"host": host}, user_file=(USER, text)))
        for host in ("cluster", "gpu")
    }
    assert said["gpu"] == []
    assert "launcher of host.cluster is not read yet" in said["cluster"][0]


def test_what_a_revision_has_forwarded_is_said_and_ones_own_wish_is_not() -> None:
    theirs = resolve(project=[pyproject("forward_env = ['TOKEN', 'KEY']")])
    assert worth_saying(theirs) == ["the job gets your TOKEN, KEY, as pyproject.toml of main asks"]
    assert worth_saying(resolve(flags={"forward_env": ["TOKEN"]})) == []
    assert worth_saying(resolve(user_file=("/home/a of b/config.toml", "forward_env = ['TOKEN']"))) == []
