"""One verb in one process."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from dobby.agent import main
from dobby.agent.verbs import list as list_verb
from dobby.agent.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path


def test_garbage_is_collected_while_a_verb_runs(tmp_path: Path) -> None:
    """Not before, while modules are imported; a supervisor and a steward live long."""
    with open(os.devnull, "rb") as nothing:
        gc.disable()
        try:
            call = main.Call(
                home=str(tmp_path), args={}, attached=b"", wire=Wire(nothing, "m"), umask=0o022
            )
            main.run_verb(list_verb, "list", call)
            assert gc.isenabled()
        finally:
            gc.enable()
            gc.unfreeze()
