"""Apprise in its own venv, made here as on a host, against services that it can reach on loopback."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.agent import services
from tests.core import told
from tests.wait import until

from dobby.agent.channels import apprise
from dobby.core.errors import DobbyError, UsageError
from dobby.core.notices import Delivery, Later, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent.services import Http


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dobby's directory on a host where Apprise was prepared; made once, and by uv where there is one."""
    home = tmp_path_factory.mktemp("apprise") / ".dobby"
    # uv keeps its cache under HOME: the account's own, so that it is there the next time.
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env["HOME"] = os.path.expanduser(f"~{os.environ.get('USER', '')}")
    assert apprise.prepare(str(home), env).startswith("Apprise ")
    return home


@pytest.fixture
def http(tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    monkeypatch.setenv("DOBBY_HOME", str(tools))
    with services.http() as running:
        yield running


def send(url: str, notice: Notice = told.FAILED, log_lines: bool = True) -> str:
    apprise.check({"url": url})
    delivery = Delivery(event_id=notice.event_id, kind=notice.kind, channel="chat", log_lines=log_lines)
    return apprise.send({"url": url}, notice, delivery, {})


def address(http: Http, kind: str, path: str = "canary-topic") -> str:
    return http.url.replace("http://", f"{kind}://") + f"/{path}"


def test_json(http: Http) -> None:
    assert send(address(http, "json")) == "Apprise sent it"
    (asked,) = http.asked
    assert asked.content["title"] == "[dobby] etl failed (exit 1) after 2 h 3 min"
    assert asked.content["type"] == "failure"
    assert asked.content["message"] == apprise.body(told.FAILED, log_lines=True)


def test_ntfy(http: Http) -> None:
    http.usual = (200, {}, '{"id": "x"}')
    assert send(address(http, "ntfy"), told.SUCCEEDED) == "Apprise sent it"
    (asked,) = http.asked
    assert b"etl succeeded" in asked.body + str(asked.headers).encode()


def test_lines_of_the_log_only_where_they_may_go(http: Http) -> None:
    send(address(http, "json"), log_lines=False)
    assert b"price" not in http.asked[0].body


def test_a_service_that_refuses_is_tried_again_and_its_address_not_shown(http: Http) -> None:
    http.say(500)
    with pytest.raises(Later, match="Apprise could not send it: ") as error:
        send(address(http, "json"))
    assert "canary" not in error.value.message


def test_a_url_that_apprise_does_not_know(http: Http) -> None:
    with pytest.raises(Later, match="does not understand the channel's url") as error:
        send("nosuch://canary-secret/canary-topic")
    assert "canary" not in error.value.message


def test_the_address_stands_in_no_command_line(http: Http) -> None:
    http.answers = ["hang"]
    told_why: list[str] = []

    def try_it() -> None:
        with pytest.raises(Later) as error:
            send(address(http, "json"))
        told_why.append(error.value.message)

    sending = threading.Thread(target=try_it)
    sending.start()
    until(lambda: http.asked, 20)  # now Apprise has read it
    lines = [line for line in map(command_line, os.listdir("/proc")) if b"apprise" in line]
    http.over.set()  # it hangs up
    sending.join()
    assert "canary" not in "".join(told_why)
    assert any(b"-I" in line for line in lines)
    assert not any(b"canary" in line for line in lines)


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_prepared_twice_nothing_is_made(tools: Path) -> None:
    before = os.stat(tools / "tools/apprise").st_ino
    assert apprise.prepare(str(tools), {"PATH": "/nowhere"}).startswith("Apprise ")
    assert os.stat(tools / "tools/apprise").st_ino == before
    assert [path.name for path in (tools / "tools").iterdir()] == ["apprise"]


def test_what_goes_wrong_is_shown_and_leaves_nothing(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no route to the index; exit 2\n")
    uv.chmod(0o755)
    with pytest.raises(
        DobbyError, match=r"(?s)could not be installed: uv venv .* exit 2.*no route to the index"
    ):
        apprise.prepare(str(tmp_path / "home"), {"PATH": str(tmp_path)})
    assert os.listdir(tmp_path / "home/tools") == []


def test_without_its_venv_it_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOBBY_HOME", str(tmp_path))
    with pytest.raises(Later, match="add the channel anew"):
        send("json://127.0.0.1:1/")


def test_pip_where_there_is_no_uv() -> None:
    steps = apprise._steps(None, "/usr/bin/python3", "/x")
    assert steps[0] == ["/usr/bin/python3", "-I", "-m", "venv", "/x"]
    assert steps[1][:5] == ["/x/bin/python", "-I", "-m", "pip", "install"]


@pytest.mark.parametrize("settings", [{}, {"url": "canary"}, {"url": "a://canary\n"}, {"urls": "canary"}])
def test_settings_that_cannot_work(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        apprise.check(settings)
    assert "canary" not in error.value.message
