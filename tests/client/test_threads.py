"""One Client, used by several threads at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.client.carried import launch

from dobby import Client
from dobby.core import protocol

if TYPE_CHECKING:
    from tests.conftest import Host
    from tests.gitrepo import Repo

AHEAD = protocol.dump_ahead(project="p", label="l", origin="", object_format="sha1")


def test_a_session_is_that_of_the_thread_that_began_it(repo: Repo, host: Host) -> None:
    """What two had foretold on one would have been taken for a call that was cut."""
    client = Client(cwd=repo.path)
    launch(client, host, "true").wait()  # there is a connection, so that sessions start at once
    hosts, foretold, over = client._hosts(), threading.Event(), threading.Event()

    def foretell() -> None:
        hosts.begin(host.name)
        hosts.foretell(host.name, AHEAD)

    def other() -> None:
        foretell()
        foretold.set()
        over.wait(30)
        hosts.give_up()

    thread = threading.Thread(target=other)
    hosts.begin(host.name)
    thread.start()
    try:
        assert foretold.wait(30)
        foretell()
        assert hosts.call(host.name, "list", {})["unreadable"] == []
    finally:
        over.set()
        thread.join()
