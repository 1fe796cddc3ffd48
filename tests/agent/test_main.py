"""One verb in one process."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from dobby.agent import main
from dobby.agent.wire import Wire
from dobby.core import protocol

if TYPE_CHECKING:
    from pathlib import Path


def test_garbage_is_collected_while_a_verb_runs(tmp_path: Path) -> None:
    """Not before, while modules are imported; a supervisor and a steward live long."""
    with open(os.devnull, "rb") as nothing:
        gc.disable()
        try:
            main.run_verb(str(tmp_path), protocol.dump_call("list", {}), Wire(nothing, "m"), 0o022)
            assert gc.isenabled()
        finally:
            gc.enable()
            gc.unfreeze()
