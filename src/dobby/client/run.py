"""One run, as a caller of `Client` gets it."""

from __future__ import annotations

from dobby.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Run(Record):
    """One run as its host knew it when it was asked. `row` holds the fields of `ps --json`."""

    row: dict[str, Any]
    already: bool = False

    @property
    def host(self) -> str:
        return str(self.row["host"])

    @property
    def project(self) -> str:
        return str(self.row["project"])

    @property
    def label(self) -> str:
        return str(self.row["label"])

    @property
    def run_id(self) -> str:
        return str(self.row["run_id"])

    @property
    def log_command(self) -> str:
        """The one command that shows the log."""
        return f"dobby logs {self.project}/{self.label} -H {self.host} --run {self.run_id}"
